import { type CloudWatchLogsClient, paginateFilterLogEvents } from '@aws-sdk/client-cloudwatch-logs';
import type { Clock } from '../../ports/clock.ts';
import type { LogLine, SteppedPlatform } from '../../ports/serving-platform.ts';
import { logPrefix } from './ecs-names.ts';

/** How far back is looked, further each time that too few lines were found: ten minutes, three hours, two days, a month. */
const LOOK_BACK_MS = [10 * 60_000, 3 * 3_600_000, 48 * 3_600_000, 30 * 24 * 3_600_000];
/** Pages read of one window; the newest lines of a longer one are in a shorter one. */
const MAX_PAGES = 20;

export interface EcsLogsOptions {
  readonly client: CloudWatchLogsClient;
  readonly logGroup: string;
  readonly clock: Clock;
}

/** What the tasks of endpoints wrote. A stream's name is `<workspace>/<endpoint>/r<revision>/<container>/<task>`. */
export function ecsLogs({ client, logGroup, clock }: EcsLogsOptions): Pick<SteppedPlatform, 'logs'> {
  return {
    async logs(ref, { revision, limit }) {
      let lines: LogLine[] = [];
      for (const back of LOOK_BACK_MS) {
        lines = [];
        const pages = paginateFilterLogEvents(
          { client },
          {
            logGroupName: logGroup,
            logStreamNamePrefix: logPrefix(ref, revision),
            startTime: clock.now() - back,
          },
        );
        let read = 0;
        for await (const { events = [] } of pages) {
          for (const { timestamp = 0, logStreamName = '', message = '' } of events) {
            if (isMetrics(message)) continue;
            lines.push({ at: timestamp, ...originOf(logStreamName), message: message.trimEnd() });
          }
          if (++read === MAX_PAGES) break;
        }
        if (lines.length >= limit) break;
      }
      return lines.sort((a, b) => a.at - b.at).slice(-limit);
    },
  };
}

/** A line of Embedded Metric Format, of which CloudWatch makes metrics. */
const isMetrics = (message: string) => message.startsWith('{"_aws":');

function originOf(stream: string): { revision: number; replica: string } {
  const [, , revision = 'r0', , task = ''] = stream.split('/');
  return { revision: Number(revision.slice(1)), replica: task };
}
