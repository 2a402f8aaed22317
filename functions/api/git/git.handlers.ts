import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Context } from 'hono';
import { authorize } from '../../../shared/access/grant.ts';
import { CairnError } from '../../../shared/errors.ts';
import { findModel, type StoredModel } from '../../../shared/registry/model.ts';
import type { PushReport, RefCommand } from '../../../shared/registry/push.ts';
import { receivePush } from '../../../shared/registry/receive-push.ts';
import { listRefs } from '../../../shared/registry/refs.ts';
import { openObjects, openWholePack } from '../../../shared/registry/repository-objects.ts';
import type { ApiEnv } from '../bind.ts';
import type { ApiDeps } from '../deps.ts';
import { toCairnError } from '../problem.ts';
import { readUpTo } from '../request-body.ts';
import { advertisement, capabilitiesV2, type Service } from './advertisement.ts';
import { modelRef } from './model-ref.ts';
import { FLUSH } from './pkt-line.ts';
import { pushProgress } from './push-progress.ts';
import { parsePush, pushAnswer, pushAnswerAfter, tooLarge } from './receive-pack.ts';
import { type Served, uploadPackV0, uploadPackV2 } from './upload-pack.ts';

type GitContext = Context<ApiEnv>;

/** Bytes of a request that fetches: wants and haves, inflated. */
const FETCH_BODY_MAX = 20_000_000;

/** Git's smart HTTP protocol. Source: Git's Documentation/gitprotocol-http. */
export function gitHandlers(deps: ApiDeps) {
  const { ports } = deps;
  const agent = `cairn/${deps.version}`;

  const served = async (model: StoredModel): Promise<Served> => {
    const { refs, root } = await listRefs(ports, model);
    return {
      refs,
      database: await openObjects(ports, model, root.body),
      whole: () => openWholePack(ports, model, root.body),
    };
  };

  return {
    refs: async (c: GitContext) => {
      const ref = modelRef(c);
      const service = c.req.query('service');
      if (service !== 'git-upload-pack' && service !== 'git-receive-pack') {
        throw new CairnError(
          'NOT_SUPPORTED',
          'Git’s old protocol without a service is not spoken here.',
          'service',
        );
      }
      authorize(c.get('caller'), service === 'git-upload-pack' ? 'viewer' : 'contributor', ref);
      const model = await findModel(ports.table, ref);
      const body =
        service === 'git-upload-pack' && versionOf(c) === 2
          ? capabilitiesV2(agent)
          : advertisement(service, (await listRefs(ports, model)).refs, agent);
      return answer(c, `application/x-${service}-advertisement`, once(body));
    },

    uploadPack: async (c: GitContext) => {
      const ref = modelRef(c);
      authorize(c.get('caller'), 'viewer', ref);
      const model = await findModel(ports.table, ref);
      const body = await bodyOf(c, 'git-upload-pack', FETCH_BODY_MAX);
      const result = await (versionOf(c) === 2 ? uploadPackV2 : uploadPackV0)(await served(model), body);
      return answer(c, 'application/x-git-upload-pack-result', result);
    },

    receivePack: async (c: GitContext) => {
      const ref = modelRef(c);
      authorize(c.get('caller'), 'contributor', ref);
      const limit = deps.pushLimit ?? PUSH_MAX;
      requireType(c, 'git-receive-pack');
      const { bytes, more } = await readPush(c, limit);
      const request = parsePush(more ? bytes.subarray(0, COMMANDS_MAX) : await inflated(c, bytes, limit));
      const answered = (body: AsyncIterable<Uint8Array>) =>
        answer(c, 'application/x-git-receive-pack-result', body);
      const result = (report: PushReport) => answered(pushAnswer(request, report));
      if (more) {
        const results = request.commands.map(({ name }) => ({ name, problem: 'unpacker error' }));
        return result({ ...tooLarge(limit), results });
      }
      if (request.commands.length === 0) return answered(once(FLUSH));
      const { commands, atomic, rest } = request;
      const pack = rest.length > 0 ? rest : undefined;
      const limits = {
        objects: 2_000_000,
        objectBytes: limit,
        totalBytes: Math.max(limit * 4, Math.min(UNFOLDED_MAX, limit * 100)),
      };
      const told = pushProgress(deps.verifyWait);
      const push = { commands, atomic, pack, limits, wait: told.wait };
      const report = receivePush(ports, c.get('caller'), ref, push).catch((error) =>
        refused(commands, error),
      );
      // Told when its answer is read, which nobody may.
      report.catch(() => undefined);
      // Until it has to wait, an error is an answer of its own.
      if ((await Promise.race([report, told.begun])) !== 'waiting') return result(await report);
      return answered(pushAnswerAfter(request, told.lines(report), report));
    },
  };
}

/** Why nothing of a push was taken, in the way that git shows best. */
function refused(commands: readonly RefCommand[], error: unknown): PushReport {
  const { code, detail } = toCairnError(error);
  if (code === 'INTERNAL') throw error;
  const results = commands.map(({ name }) => ({ name, problem: 'unpacker error' }));
  return { unpack: detail.replaceAll('\n', ' ').replace(/\.$/, ''), results, notes: [] };
}

/** What a push may be where nothing else is said. */
const PUSH_MAX = 128_000_000;
/** Bytes that a push's objects may be once inflated, so that a few bytes cannot keep the server busy for minutes. */
const UNFOLDED_MAX = 2_000_000_000;
/** As much as this of a push that is too large is thrown away before the client gets its answer. */
const DRAINED_MAX = 4_000_000_000;
/** A push's commands are in its first bytes. */
const COMMANDS_MAX = 8_000_000;

/** The beginning of the body, and whether there was more than `limit`; the rest has been read and dropped. */
async function readPush(c: GitContext, limit: number): Promise<{ bytes: Uint8Array; more: boolean }> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    if (length > DRAINED_MAX) break;
  }
  return { bytes: Buffer.concat(chunks), more: length > limit };
}

/** Clients ask for a version of the protocol in `git-protocol: version=2`. */
const versionOf = (c: GitContext): number =>
  Number(/(?:^|:)version=(\d)/.exec(c.req.header('git-protocol') ?? '')?.[1] ?? 0);

/** The request's body, inflated. @throws CairnError `TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE` */
export async function bodyOf(c: GitContext, service: Service, limit: number): Promise<Uint8Array> {
  requireType(c, service);
  return inflated(c, await readUpTo(c.req.raw.body, limit), limit);
}

function requireType(c: GitContext, service: Service): void {
  const type = c.req.header('content-type');
  if (type !== `application/x-${service}-request`)
    throw new CairnError(
      'UNSUPPORTED_MEDIA_TYPE',
      `The body is ${type ?? 'nothing'}, not a ${service} request.`,
    );
}

/** In a thread of its own, so that others are served meanwhile. */
const inflate = promisify(gunzip);

async function inflated(c: GitContext, bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  const encoding = c.req.header('content-encoding') ?? 'identity';
  if (encoding === 'identity') return bytes;
  if (encoding !== 'gzip' && encoding !== 'x-gzip')
    throw new CairnError('UNSUPPORTED_MEDIA_TYPE', `The body’s encoding ${encoding} is not understood.`);
  try {
    return await inflate(bytes, { maxOutputLength: limit });
  } catch (error) {
    if (error instanceof RangeError)
      throw new CairnError('TOO_LARGE', 'The request inflates to too much.', 'body');
    throw new CairnError('INVALID_ARGUMENT', 'The body cannot be inflated.', 'body');
  }
}

export function answer(c: GitContext, type: string, body: AsyncIterable<Uint8Array>): Response {
  return new Response(ReadableStream.from(body), {
    headers: {
      'content-type': type,
      'cache-control': 'no-cache, max-age=0, must-revalidate',
      'x-request-id': c.get('requestId'),
    },
  });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
