import { createHash } from 'node:crypto';
import { CairnError, ERRORS } from '../../../shared/errors.ts';
import type { Ports } from '../../../shared/ports/ports.ts';
import { ConditionFailed, type Item, type Key } from '../../../shared/ports/table.ts';
import type { Idempotency } from '../bind.ts';
import type { Answer } from '../contract.ts';
import { problemOf } from '../problem.ts';

interface Kept {
  readonly format: 1;
  readonly requestHash: string;
  readonly startedAt: number;
  /** Absent while the first request is under way. */
  readonly answer?: Answer;
}

/** A key is good for a day. */
const LIFETIME_MS = 24 * 3600 * 1000;
/** After this a request that did not finish counts as lost with its process, and may be sent again. */
const LEASE_MS = 5 * 60 * 1000;
/** A larger answer is not kept: a repeat is answered from what the first request made. */
const ANSWER_MAX = 250_000;

/**
 * Makes a request that creates something safe to send again under one `Idempotency-Key`: the repeat gets the first
 * answer, with `idempotency-replayed: true`. A 5xx is not kept, so that the request can be tried again.
 * Source: draft-ietf-httpapi-idempotency-key-header, sections 2.6 and 2.7.
 * @param fetch answers a GET of the same service
 */
export function idempotency(
  ports: Pick<Ports, 'table' | 'clock'>,
  fetch: (request: Request) => Promise<Response>,
): Idempotency {
  return async ({ caller, key, method, path, body, origin }, run) => {
    const at: Key = { pk: `idempotency/${caller.tokenId ?? caller.principal}`, sk: key };
    const requestHash = createHash('sha256').update(`${method} ${path}\n${body}`).digest('hex');
    const claim = await claimKey(ports, at, requestHash);
    if (claim.replay) return replayed(claim.replay, fetch, origin);
    const keep = (answer: Answer) => keepAnswer(ports, at, claim, answer);
    let answer: Answer;
    try {
      answer = await run();
    } catch (error) {
      if (error instanceof CairnError && ERRORS[error.code].status < 500) {
        await keep(problemAnswer(error, caller.requestId));
      } else {
        await ports.table.transact([{ delete: at, if: 'any' }]);
      }
      throw error;
    }
    await keep(answer);
    return answer;
  };
}

interface Claimed {
  readonly replay?: undefined;
  readonly rev: number;
  readonly kept: Kept;
}

type Claim = Claimed | { readonly replay: Answer };

async function claimKey(ports: Pick<Ports, 'table' | 'clock'>, at: Key, requestHash: string): Promise<Claim> {
  const now = ports.clock.now();
  const found = (await ports.table.get(at)) as Item<Kept> | undefined;
  if (found && !isOver(found, now)) {
    if (found.body.requestHash !== requestHash) {
      throw new CairnError(
        'IDEMPOTENCY_MISMATCH',
        'Another request was sent under this Idempotency-Key.',
        'Idempotency-Key',
      );
    }
    if (!found.body.answer) throw inProgress();
    return { replay: found.body.answer };
  }
  const kept: Kept = { format: 1, requestHash, startedAt: now };
  try {
    await ports.table.transact([{ put: record(at, kept, now), if: found ? { rev: found.rev } : 'absent' }]);
  } catch (error) {
    throw error instanceof ConditionFailed ? inProgress() : error;
  }
  return { rev: (found?.rev ?? 0) + 1, kept };
}

async function keepAnswer(
  ports: Pick<Ports, 'table' | 'clock'>,
  at: Key,
  { rev, kept }: Claimed,
  answer: Answer,
): Promise<void> {
  try {
    const body = { ...kept, answer: small(answer) };
    await ports.table.transact([{ put: record(at, body, ports.clock.now()), if: { rev } }]);
  } catch (error) {
    // The lease ran out and a repeat has the key now: what it keeps is as true.
    if (!(error instanceof ConditionFailed)) throw error;
  }
}

const problemAnswer = (error: CairnError, requestId: string): Answer => ({
  status: ERRORS[error.code].status,
  json: problemOf(error, requestId),
  headers: { 'content-type': 'application/problem+json' },
});

const record = (at: Key, kept: Kept, now: number) => ({
  ...at,
  body: kept,
  expiresAt: Math.ceil((now + LIFETIME_MS) / 1000),
});

function isOver({ body, expiresAt }: Item<Kept>, now: number): boolean {
  if ((expiresAt ?? 0) * 1000 <= now) return true;
  return body.answer === undefined && body.startedAt + LEASE_MS <= now;
}

const inProgress = () =>
  new CairnError('CONFLICT', 'A request with this Idempotency-Key is under way.', 'Idempotency-Key');

function small(answer: Answer): Answer {
  if (Buffer.byteLength(JSON.stringify(answer)) <= ANSWER_MAX) return answer;
  const { json: _, ...rest } = answer;
  return rest;
}

/** Problems keep their own media type, so they go as text. */
async function replayed(
  answer: Answer,
  fetch: (request: Request) => Promise<Response>,
  origin: Request,
): Promise<Answer> {
  const headers: Record<string, string> = { ...answer.headers, 'idempotency-replayed': 'true' };
  const { json, status } = answer;
  if (headers['content-type'] !== undefined) return { status, text: JSON.stringify(json), headers };
  if (json !== undefined || answer.headers?.location === undefined) return { ...answer, headers };
  const authorization = origin.headers.get('authorization') ?? '';
  const now = await fetch(
    new Request(new URL(answer.headers.location, origin.url), { headers: { authorization } }),
  );
  return { status, json: await now.json(), headers };
}
