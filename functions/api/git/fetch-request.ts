import { CairnError } from '../../../shared/errors.ts';
import { isOid } from '../../../shared/registry/git/object.ts';
import { type ObjectFilter, parseFilter } from '../../../shared/registry/git/object-filter.ts';
import type { Deepen } from '../../../shared/registry/git/shallow.ts';
import type { Ref } from '../../../shared/registry/refs.ts';
import { PktReader } from './pkt-line.ts';
import type { Bands } from './side-band.ts';

/** What a client that fetches says, in either version of the protocol. */
export interface FetchRequest {
  wants: string[];
  haves: string[];
  /** Commits whose parents it does not have. */
  shallow: string[];
  deepen?: Deepen;
  filter?: ObjectFilter;
  thin: boolean;
  quiet: boolean;
  followTags: boolean;
  bands: Bands;
  /** It says nothing more and waits for the pack. */
  done: boolean;
}

const empty = (): FetchRequest => ({
  wants: [],
  haves: [],
  shallow: [],
  thin: false,
  quiet: false,
  followTags: false,
  bands: undefined,
  done: false,
});

/** Which of the protocol's acknowledgements a client of version 0 takes. */
export interface FetchRequestV0 extends FetchRequest {
  multiAck: 'none' | 'continue' | 'detailed';
  noDone: boolean;
  /** The lines after the wants: haves, with a flush after each group. */
  rounds: (string | 'flush')[];
}

/** Source: Git's Documentation/gitprotocol-pack, "Packfile Negotiation". */
export function parseFetchV0(body: Uint8Array, refs: readonly Ref[]): FetchRequestV0 {
  const request: FetchRequestV0 = { ...empty(), multiAck: 'none', noDone: false, rounds: [] };
  const reader = new PktReader(body);
  for (let line = reader.text(); line !== undefined; line = reader.text()) {
    if (request.wants.length === 0 && line.startsWith('want ')) {
      const capabilities = new Set(line.slice(45).trim().split(' '));
      request.thin = capabilities.has('thin-pack');
      request.quiet = capabilities.has('no-progress');
      request.followTags = capabilities.has('include-tag');
      request.noDone = capabilities.has('no-done');
      request.bands = capabilities.has('side-band-64k')
        ? 65_515
        : capabilities.has('side-band')
          ? 995
          : undefined;
      request.multiAck = capabilities.has('multi_ack_detailed')
        ? 'detailed'
        : capabilities.has('multi_ack')
          ? 'continue'
          : 'none';
      if (capabilities.has('deepen-relative')) request.deepen = { relative: true };
      line = line.slice(0, 45);
    }
    takeArgument(request, line, refs);
  }
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    const text = typeof line === 'string' ? line : line.toString().replace(/\n$/, '');
    if (text === 'done') request.done = true;
    else if (text.startsWith('have ') && isOid(text.slice(5))) request.rounds.push(text.slice(5));
    else if (text === 'flush') request.rounds.push('flush');
    else throw unknown(text);
  }
  if (request.deepen && Object.keys(request.deepen).length === 1 && request.deepen.relative)
    delete request.deepen;
  return request;
}

/** Source: Git's Documentation/gitprotocol-v2, "fetch". */
export function parseFetchV2(
  lines: readonly string[],
  refs: readonly Ref[],
): FetchRequest & { wait: boolean } {
  const request = { ...empty(), bands: 65_515 as Bands, wait: false };
  for (const line of lines) {
    if (line === 'done') request.done = true;
    else if (line === 'thin-pack') request.thin = true;
    else if (line === 'no-progress') request.quiet = true;
    else if (line === 'include-tag') request.followTags = true;
    else if (line === 'wait-for-done') request.wait = true;
    else if (line === 'ofs-delta') continue;
    else if (line === 'deepen-relative') request.deepen = { ...request.deepen, relative: true };
    else if (line.startsWith('have ') && isOid(line.slice(5))) request.haves.push(line.slice(5));
    else takeArgument(request, line, refs);
  }
  return request;
}

function takeArgument(request: FetchRequest, line: string, refs: readonly Ref[]): void {
  const space = line.indexOf(' ');
  const [word, value] = [line.slice(0, space), line.slice(space + 1)];
  const number = () => {
    if (!/^\d{1,15}$/.test(value)) throw unknown(line);
    return Number(value);
  };
  switch (word) {
    case 'want':
      if (!isOid(value)) throw unknown(line);
      request.wants.push(value);
      return;
    case 'shallow':
      if (!isOid(value)) throw unknown(line);
      request.shallow.push(value);
      return;
    case 'deepen':
      if (number() > 0) request.deepen = { ...request.deepen, depth: number() };
      return;
    case 'deepen-since':
      request.deepen = { ...request.deepen, since: number() };
      return;
    case 'deepen-not': {
      const names = [value, `refs/${value}`, `refs/tags/${value}`, `refs/heads/${value}`];
      const oid = isOid(value) ? value : refs.find(({ name }) => names.includes(name))?.oid;
      if (oid === undefined)
        throw new CairnError('INVALID_ARGUMENT', `deepen-not names no ref: ${value}`, 'deepen-not');
      request.deepen = { ...request.deepen, not: [...(request.deepen?.not ?? []), oid] };
      return;
    }
    case 'filter':
      request.filter = parseFilter(value);
      return;
    default:
      throw unknown(line);
  }
}

const unknown = (line: string) =>
  new CairnError(
    'INVALID_ARGUMENT',
    `The line ${JSON.stringify(line.slice(0, 100))} is not understood.`,
    'body',
  );
