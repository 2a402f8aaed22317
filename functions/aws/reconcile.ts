import type { Logger } from 'pino';
import type { EndpointRef } from '../../shared/ports/serving-platform.ts';
import type { VerifyLater } from '../../shared/registry/verify-work.ts';
import { everyEndpoint } from '../../shared/serving/every-endpoint.ts';
import { reconcile } from '../reconcile/handler.ts';
import { type CleanUpPart, cleanUp, signCheckpoints } from '../reconcile/housekeeping.ts';
import { unsettledEndpoints } from '../reconcile/unsettled-endpoints.ts';
import { endpointOfEvent } from './ecs-event.ts';
import { type BatchResult, failures, type Invocation, QueueEvent } from './events.ts';
import type { AwsPorts } from './ports.ts';
import type { Serving } from './serving.ts';
import { ReconcileWork, type Task } from './work-messages.ts';

interface Deps extends AwsPorts {
  readonly serving: Serving | undefined;
  readonly logger: Pick<Logger, 'info' | 'error'>;
}

/** The timer's interval: within it an endpoint that is to be looked at again is sent to the queue with a delay. */
const TICK = 60_000;
/** Milliseconds kept for the model that a clean-up is at, half of the time at most. */
const RESERVE = 60_000;

interface Woken {
  readonly ref: EndpointRef;
  readonly messages: string[];
  until: number;
}

/**
 * Does what the queue asks for: endpoints go on, each once for however many messages name it, and the timers' tasks are
 * done. Only messages whose work failed come again.
 */
export function reconciler(deps: Deps) {
  return async (event: unknown, invocation: Invocation): Promise<BatchResult> => {
    const { clock, logger } = deps;
    const { awsRequestId: requestId } = invocation;
    const failed: string[] = [];
    const woken = new Map<string, Woken>();
    const attempt = async (
      messages: readonly string[],
      told: object,
      work: () => Promise<object | undefined>,
    ) => {
      try {
        const done = await work();
        if (done) logger.info({ requestId, ...told, ...done }, 'done');
      } catch (err) {
        logger.error({ requestId, ...told, err }, 'not done yet');
        failed.push(...messages);
      }
    };
    for (const { messageId, body } of QueueEvent.parse(event).Records) {
      await attempt([messageId], { messageId }, async () => {
        const work = ReconcileWork.parse(JSON.parse(body));
        if ('task' in work) return { task: work.task, ...(await doTask(deps, work, invocation)) };
        const ref = 'source' in work ? endpointOfEvent(work) : work.endpoint;
        if (!ref) return undefined;
        const key = `${ref.workspace}/${ref.endpoint}`;
        const until = ('until' in work ? work.until : undefined) ?? clock.now() + TICK;
        const known = woken.get(key) ?? { ref, messages: [], until };
        known.messages.push(messageId);
        known.until = Math.max(known.until, until);
        woken.set(key, known);
        return undefined;
      });
    }
    for (const { ref, messages, until } of woken.values()) {
      await attempt(messages, ref, () => goOn(deps, ref, until, requestId));
    }
    return failures(failed);
  };
}

async function goOn(
  { serving, reconcileQueue, ...ports }: Deps,
  ref: EndpointRef,
  until: number,
  requestId: string,
): Promise<{ next: number | undefined }> {
  if (!serving) return { next: undefined };
  const { next } = await reconcile({ ...ports, ...serving }, ref, requestId);
  if (next !== undefined && next < until) {
    await reconcileQueue.send({ endpoint: ref, until }, next - ports.clock.now());
  }
  return { next };
}

async function doTask(
  deps: Deps,
  { task, after, failed: before = 0 }: Task,
  invocation: Invocation,
): Promise<object> {
  const { table, clock, serving, reconcileQueue, logger } = deps;
  const wake = async (refs: readonly EndpointRef[]) => {
    for (const endpoint of refs) await reconcileQueue.send({ endpoint });
    return { woken: refs.length };
  };
  switch (task) {
    case 'reconcile':
      return serving ? wake(await unsettledEndpoints(table)) : {};
    case 'checkpoint': {
      const onError = (err: unknown, workspace: string) =>
        logger.error(
          { requestId: invocation.awsRequestId, err, workspace },
          'no audit checkpoint could be signed',
        );
      const failed = await signCheckpoints(deps, onError);
      // The message comes again, for those that failed: the others have nothing new to sign.
      if (failed > 0) throw new Error(`${failed} could not be signed; the log tells which and why.`);
      return {};
    }
    case 'clean-up': {
      // Also endpoints that nothing moves, and what still runs for those that are gone: nobody else would find them.
      const seen =
        serving && !after
          ? await wake([...(await everyEndpoint(table)), ...(await serving.platform.list())])
          : {};
      const remaining = invocation.getRemainingTimeInMillis();
      const deadline = clock.now() + remaining - Math.min(RESERVE, remaining / 2);
      const verifyLater: VerifyLater = (work) => deps.verifyQueue.send(work);
      const onError = (err: unknown, part: CleanUpPart) =>
        logger.error({ requestId: invocation.awsRequestId, err, ...part }, 'could not be cleaned up');
      const { bytes, next, ...now } = await cleanUp(deps, { after, deadline, verifyLater, onError });
      const failed = before + now.failed;
      if (next) await reconcileQueue.send({ task, after: next, ...(failed > 0 && { failed }) });
      // The last message of a round stands for all of them: it becomes a dead letter, which rings an alarm.
      else if (failed > 0) throw new Error(`${failed} could not be cleaned up; the log tells which and why.`);
      return { ...seen, bytes, failed };
    }
  }
}
