import type { EndpointRef } from '../../shared/ports/serving-platform.ts';
import type { Table } from '../../shared/ports/table.ts';
import type { Endpoint } from '../../shared/serving/endpoint.ts';
import { everyEndpoint } from '../../shared/serving/every-endpoint.ts';
import { endpointKey, statusKey } from '../../shared/serving/keys.ts';
import type { StatusRecord } from '../../shared/serving/status.ts';

/** Endpoints in one read: each is two items. */
const AT_ONCE = 50;

/** Endpoints that move, or whose spec was not looked at yet: what a timer comes to even if nothing told of them. */
export async function unsettledEndpoints(table: Table): Promise<EndpointRef[]> {
  const all = await everyEndpoint(table);
  const unsettled: EndpointRef[] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const some = all.slice(at, at + AT_ONCE);
    const items = await table.getMany(some.flatMap((ref) => [endpointKey(ref), statusKey(ref)]));
    unsettled.push(
      ...some.filter((_, index) => {
        const endpoint = items[index * 2]?.body as Endpoint | undefined;
        const status = items[index * 2 + 1]?.body as StatusRecord | undefined;
        return (
          status?.state.motion.phase !== 'idle' ||
          status.state.requested !== undefined ||
          status.observedGeneration !== endpoint?.generation
        );
      }),
    );
  }
  return unsettled;
}
