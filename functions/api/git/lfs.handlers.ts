import type { Context } from 'hono';
import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import {
  completeParts,
  LFS_URL_LIFETIME,
  type LfsAnswer,
  type LfsParts,
  lfsDownloads,
  lfsUploads,
  verifyLfs,
} from '../../../shared/registry/lfs.ts';
import { type LfsLock, listLocks, lockPath, unlock } from '../../../shared/registry/lfs-lock.ts';
import type { ApiEnv } from '../bind.ts';
import type { ApiDeps } from '../deps.ts';
import { parseJson, readUpTo } from '../request-body.ts';
import { rfc3339 } from '../time.ts';
import { modelRef } from './model-ref.ts';

type LfsContext = Context<ApiEnv>;

const BODY_MAX = 6_000_000;
const LOCKS = 100;
const TRANSFERS = ['basic', 'multipart'];
/** Bytes beyond which an object goes in parts, for a client that can. */
const PARTS_FROM = 64 * 1024 * 1024;

const LfsObject = z.object({ oid: z.string(), size: z.number() });
const Batch = z.object({
  operation: z.enum(['download', 'upload']),
  transfers: z.array(z.string()).optional(),
  hash_algo: z.string().optional(),
  objects: z.array(LfsObject).max(1000),
});
const Limit = z.coerce.number().int().min(1).max(1000).default(LOCKS).catch(LOCKS);

/** Git LFS: where its objects are got from and put to, and locks. Bytes go straight to and from the storage. Source: git-lfs' docs/api. */
export function lfsHandlers({ ports, publicUrl, verifyLater: later }: ApiDeps) {
  return {
    batch: async (c: LfsContext) => {
      const ref = modelRef(c);
      const batch = await jsonOf(c, Batch);
      if (batch.hash_algo !== undefined && batch.hash_algo !== 'sha256')
        throw new CairnError('CONFLICT', 'Objects are named by their SHA-256.', 'hash_algo');
      if (batch.transfers && !batch.transfers.some((transfer) => TRANSFERS.includes(transfer)))
        throw new CairnError(
          'NOT_SUPPORTED',
          `The transfers ${TRANSFERS.join(', ')} are supported.`,
          'transfers',
        );
      const caller = c.get('caller');
      const inParts =
        batch.operation === 'upload' &&
        batch.transfers?.includes('multipart') === true &&
        batch.objects.some(({ size }) => size > PARTS_FROM);
      const answers =
        batch.operation === 'download'
          ? await lfsDownloads(ports, caller, ref, batch.objects)
          : await lfsUploads(ports, caller, ref, batch.objects, { inParts, later });
      return answer(c, 200, {
        transfer: inParts ? 'multipart' : 'basic',
        hash_algo: 'sha256',
        objects: answers.map((object) => objectJson(c, publicUrl, batch.operation, object)),
      });
    },

    complete: async (c: LfsContext, name: string) => {
      await completeParts(ports, modelRef(c), name);
      return answer(c, 200, {});
    },

    verify: async (c: LfsContext) => {
      const object = await jsonOf(c, LfsObject);
      await verifyLfs(ports, c.get('caller'), modelRef(c), object, c.req.query('upload'), later);
      return answer(c, 200, {});
    },

    lock: async (c: LfsContext) => {
      const { path } = await jsonOf(c, z.object({ path: z.string().min(1).max(4096) }));
      const { lock, made } = await lockPath(ports, c.get('caller'), modelRef(c), path);
      if (made) return answer(c, 201, { lock: lockJson(lock) });
      return answer(c, 409, { lock: lockJson(lock), message: `"${path}" is locked by ${lock.owner}.` });
    },

    locks: async (c: LfsContext) => {
      const { path, id, cursor, limit } = c.req.query();
      const page = { after: afterOf(cursor), limit: Limit.parse(limit) };
      const { items, next } = await listLocks(ports, c.get('caller'), modelRef(c), { path, id }, page);
      return answer(c, 200, { locks: items.map(lockJson), ...(next && { next_cursor: cursorOf(next) }) });
    },

    verifyLocks: async (c: LfsContext) => {
      const { cursor, limit } = await jsonOf(
        c,
        z.object({ cursor: z.string().optional(), limit: z.number().optional() }),
      );
      const caller = c.get('caller');
      const page = { after: afterOf(cursor), limit: Limit.parse(limit) };
      const { items, next } = await listLocks(ports, caller, modelRef(c), {}, page);
      const ours = items.filter(({ owner }) => owner === caller.principal).map(lockJson);
      const theirs = items.filter(({ owner }) => owner !== caller.principal).map(lockJson);
      return answer(c, 200, { ours, theirs, ...(next && { next_cursor: cursorOf(next) }) });
    },

    unlock: async (c: LfsContext, id: string) => {
      const { force } = await jsonOf(c, z.object({ force: z.boolean().default(false) }));
      const lock = await unlock(ports, c.get('caller'), modelRef(c), id, force);
      return answer(c, 200, { lock: lockJson(lock) });
    },
  };
}

/**
 * `authenticated`: a signed URL carries its permission, and a token sent along would be refused by S3. So the action that
 * verifies brings the token that the request came with.
 */
function objectJson(
  c: LfsContext,
  publicUrl: string | undefined,
  operation: 'download' | 'upload',
  { url, upload, parts, ...object }: LfsAnswer,
) {
  if (url === undefined && parts === undefined) return object;
  const expires = { expires_in: LFS_URL_LIFETIME };
  if (operation === 'download')
    return { ...object, authenticated: true, actions: { download: { href: url, ...expires } } };
  const verify = new URL(publicUrl === undefined ? c.req.url : publicUrl + c.req.path);
  verify.pathname = verify.pathname.replace(/objects\/batch$/, 'verify');
  verify.search = `?upload=${upload}`;
  const complete = new URL(verify);
  complete.search = '';
  complete.pathname = verify.pathname.replace(/verify$/, `multipart/${parts?.name}`);
  const authorization = c.req.header('authorization') ?? '';
  return {
    ...object,
    authenticated: true,
    actions: {
      upload: parts
        ? { href: complete.href, header: partsHeader(parts), ...expires }
        : { href: url, header: { 'Content-Type': 'application/octet-stream' }, ...expires },
      verify: { href: verify.href, header: { Authorization: authorization }, ...expires },
    },
  };
}

/** As the client of Hugging Face's `multipart` transfer wants it. */
const partsHeader = ({ size, urls }: LfsParts): Record<string, string> => ({
  chunk_size: String(size),
  ...Object.fromEntries(urls.map((url, index) => [String(index + 1).padStart(5, '0'), url])),
});

const lockJson = ({ id, path, owner, lockedAt }: LfsLock) => ({
  id,
  path,
  locked_at: rfc3339(lockedAt),
  owner: { name: owner },
});

const cursorOf = (next: string) => Buffer.from(next).toString('base64url');
const afterOf = (cursor: string | undefined) =>
  cursor ? Buffer.from(cursor, 'base64url').toString() : undefined;

/** @throws CairnError `INVALID_ARGUMENT` naming the field, `TOO_LARGE` */
async function jsonOf<T extends z.ZodType>(c: LfsContext, schema: T): Promise<z.output<T>> {
  const text = Buffer.from(await readUpTo(c.req.raw.body, BODY_MAX)).toString();
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.join('.') || 'body';
  throw new CairnError('INVALID_ARGUMENT', `${field}: ${issue?.message ?? 'is invalid'}`, field);
}

function answer(c: LfsContext, status: number, json: unknown): Response {
  return new Response(JSON.stringify(json), {
    status,
    headers: { 'content-type': 'application/vnd.git-lfs+json', 'x-request-id': c.get('requestId') },
  });
}
