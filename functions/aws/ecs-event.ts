import { parseServiceName } from '../../shared/adapters/aws/ecs-names.ts';
import type { EndpointRef } from '../../shared/ports/serving-platform.ts';
import type { EcsEvent } from './work-messages.ts';

/** The endpoint whose task or service an event is about; undefined for one that is not Cairn's. */
export function endpointOfEvent({ detail, resources }: EcsEvent): EndpointRef | undefined {
  const [, ofTask] = /^service:(.+)$/.exec(detail.group ?? '') ?? [];
  const [ofService] = resources.flatMap((arn) => /:service\/(?:.*\/)?([^/]+)$/.exec(arn)?.[1] ?? []);
  const name = ofTask ?? ofService;
  return name === undefined ? undefined : parseServiceName(name);
}
