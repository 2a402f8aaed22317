import type { Logger } from 'pino';
import { systemCaller } from '../../shared/access/caller.ts';
import { writeCheckpoint } from '../../shared/audit/checkpoint.ts';
import { itemsOf } from '../../shared/ports/items-of.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { purgeDeleted } from '../../shared/registry/delete-model.ts';
import { expireUploads } from '../../shared/registry/end-upload.ts';
import { modelsPartition, WORKSPACES } from '../../shared/registry/keys.ts';
import { findModel } from '../../shared/registry/model.ts';
import { reclaim } from '../../shared/registry/reclaim.ts';

const CHECKPOINT_MS = 5 * 60_000;
const CLEAN_UP_MS = 60 * 60_000;

/** Signs audit checkpoints every five minutes and cleans up every hour; on AWS a schedule does. */
export function startHousekeeping(ports: Ports, logger: Logger): { close(): Promise<void> } {
  let running = Promise.resolve();
  const every = (ms: number, task: () => Promise<void>) =>
    setInterval(() => {
      running = running.then(task).catch((error) => logger.error({ err: error }, 'housekeeping failed'));
    }, ms).unref();
  const timers = [
    every(CHECKPOINT_MS, () => signCheckpoints(ports)),
    every(CLEAN_UP_MS, () => cleanUp(ports, logger)),
  ];
  return {
    async close() {
      for (const timer of timers) clearInterval(timer);
      await running;
      await signCheckpoints(ports);
    },
  };
}

/** Signs where the audit chains of every workspace end now. */
async function signCheckpoints(ports: Ports): Promise<void> {
  for await (const workspace of itemsOf(ports.table, WORKSPACES)) await writeCheckpoint(ports, workspace.sk);
}

/** Gives up expired uploads and removes bytes that nothing refers to. */
async function cleanUp(ports: Ports, logger: Logger): Promise<void> {
  let bytes = await purgeDeleted(ports);
  const caller = systemCaller('housekeeping', 'housekeeping');
  for await (const workspace of itemsOf(ports.table, WORKSPACES)) {
    for await (const { sk: name } of itemsOf(ports.table, modelsPartition(workspace.sk))) {
      const model = await findModel(ports.table, { workspace: workspace.sk, name });
      await expireUploads(ports, caller, model);
      bytes += (await reclaim(ports, model)).bytes;
    }
  }
  logger.info({ bytes }, 'reclaimed bytes that nothing refers to');
}
