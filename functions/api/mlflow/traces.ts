import { CairnError } from '../../../shared/errors.ts';
import { object } from './input.ts';
import { type Route, route } from './route.ts';

/**
 * The export of a trace. Were there nothing here, the client would take this for an older server, and send each trace once
 * more in the format of before.
 */
export const traceRoutes: readonly Route[] = [
  route('POST', 'traces', object({}), async () => {
    throw new CairnError(
      'NOT_SUPPORTED',
      'Cairn keeps no traces, and what was traced ran as it would have. mlflow.tracing.disable() turns them off.',
    );
  }),
];
