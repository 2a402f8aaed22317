import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { uuidv7 } from 'uuidv7';
import { CairnError } from '../../shared/errors.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { type IncomingArrival, registerUpload } from '../register-upload/handler.ts';
import { MARKER, parseIncoming } from '../register-upload/incoming-path.ts';
import { type BatchResult, BucketEvent, failures, QueueEvent } from './events.ts';
import { type ArrivedObject, type IncomingBucket, ObjectGone } from './incoming-bucket.ts';

interface Deps extends Ports {
  readonly incoming: IncomingBucket;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
}

type Notification = BucketEvent['Records'][number];

/**
 * Registers what S3's notifications tell of, exactly once however often and in what order they come. What cannot become a
 * version stays where it was dropped; a warning and an event say why. A message that failed for another cause comes again.
 */
export function registerUploads(deps: Deps) {
  return async (event: unknown): Promise<BatchResult> => {
    const failed: string[] = [];
    for (const { messageId, body } of QueueEvent.parse(event).Records) {
      try {
        for (const one of BucketEvent.parse(JSON.parse(body)).Records) await take(deps, one);
      } catch (err) {
        deps.logger.error({ err, requestId: messageId }, 'cannot register an incoming version yet');
        failed.push(messageId);
      }
    }
    return failures(failed);
  };
}

async function take(deps: Deps, { s3 }: Notification): Promise<void> {
  const { incoming, logger } = deps;
  const key = decodeURIComponent(s3.object.key.replaceAll('+', ' '));
  const { versionId, eTag, sequencer } = s3.object;
  const object: ArrivedObject = { key, versionId, etag: eTag };
  const id = createHash('sha256')
    .update(JSON.stringify([s3.bucket.name, key, versionId ?? sequencer ?? eTag]))
    .digest('hex');
  try {
    const arrival = await arrivalOf(incoming, id, object);
    if (!arrival) return;
    const { files, taken, ...of } = arrival;
    const { number } = await registerUpload(deps, { ...of, files });
    // What tells that something is left to do goes last.
    for (const one of taken) await incoming.remove(one);
    logger.info({ requestId: id, key, model: of.model, version: number }, 'registered an incoming version');
  } catch (error) {
    if (error instanceof ObjectGone) {
      logger.info({ requestId: id, key }, 'an incoming file was taken or replaced meanwhile');
      return;
    }
    if (!(error instanceof CairnError) || LATER.has(error.code)) throw error;
    await reject(deps, id, key, error);
  }
}

/** Causes that are not in the files themselves. */
const LATER = new Set<CairnError['code']>(['STORAGE_FULL', 'CONFLICT', 'INTERNAL']);

/** What the object completes, and the objects that go when it is registered; undefined when it completes nothing. */
async function arrivalOf(
  bucket: IncomingBucket,
  id: string,
  object: ArrivedObject,
): Promise<(IncomingArrival & { readonly taken: readonly ArrivedObject[] }) | undefined> {
  const incoming = parseIncoming(object.key);
  if (incoming.kind === 'nothing') return undefined;
  if (incoming.kind === 'invalid') throw new CairnError('INVALID_ARGUMENT', incoming.detail);
  const { workspace, model } = incoming;
  if (incoming.kind === 'file') {
    const { name } = incoming;
    const files = [{ path: name, open: () => bucket.open(object) }];
    return { id, workspace, model, name, files, taken: [object] };
  }
  const marker = await bucket.stat(object.key);
  if (!marker || (object.etag !== undefined && !sameEtag(marker.etag, object.etag))) return undefined;
  const folder = object.key.slice(0, -MARKER.length);
  // What came after the marker belongs to the next one.
  const found = (await bucket.list(folder)).filter(({ modifiedAt }) => modifiedAt <= marker.modifiedAt);
  const files = found
    .map((file) => ({ path: file.key.slice(folder.length), open: () => bucket.open(file) }))
    .filter(({ path }) => path !== MARKER && !path.endsWith('/') && !isHidden(path));
  const taken = [...found.filter(({ key }) => key !== marker.key), marker];
  return { id, workspace, model, name: incoming.folder, files, taken };
}

const isHidden = (path: string) => path.split('/').some((part) => part.startsWith('.'));
/** Notifications have no quotes around it. */
const sameEtag = (a: string, b: string) => a.replaceAll('"', '') === b.replaceAll('"', '');

async function reject({ bus, clock, logger }: Deps, id: string, key: string, error: CairnError) {
  const { code, detail } = error;
  logger.warn({ requestId: id, key, code, detail }, 'rejected an incoming version');
  const [workspace = ''] = key.split('/');
  await bus.publish({
    id: uuidv7(),
    workspace,
    type: 'incoming.rejected',
    resource: `incoming/${key}`,
    at: clock.now(),
    data: { key, code, detail },
  });
}
