import { CairnError } from '../../../shared/errors.ts';
import { leadToCommon } from '../../../shared/registry/git/negotiation.ts';
import type { ObjectDatabase } from '../../../shared/registry/git/object-database.ts';
import { selectBeside, selectObjects, type WholePack } from '../../../shared/registry/git/objects-to-send.ts';
import { streamPack } from '../../../shared/registry/git/send-pack.ts';
import { deepen, type ShallowUpdate } from '../../../shared/registry/git/shallow.ts';
import type { Ref } from '../../../shared/registry/refs.ts';
import { lsRefs } from './advertisement.ts';
import { type FetchRequest, type FetchRequestV0, parseFetchV0, parseFetchV2 } from './fetch-request.ts';
import { DELIM, FLUSH, PktReader, pkt } from './pkt-line.ts';
import { data, fatal, progress } from './side-band.ts';

/** A repository as the moment of a request shows it. */
export interface Served {
  readonly database: ObjectDatabase;
  readonly refs: readonly Ref[];
  /** A pack that may be sent as it is. */
  readonly whole?: () => Promise<Whole | undefined>;
}

type Whole = WholePack & { entries(): Promise<AsyncIterable<Uint8Array>> };

/** Answers a `git-upload-pack` request of protocol version 0, which repeats all that was said before. */
export async function uploadPackV0(served: Served, body: Uint8Array): Promise<AsyncIterable<Uint8Array>> {
  const request = parseFetchV0(body, served.refs);
  if (request.wants.length === 0) return nothing();
  requireWants(served, request);
  const history = await shallowUpdate(served, request);
  const head: Uint8Array[] = request.deepen ? [...shallowLines(history), FLUSH] : [];
  const { lines, pack } = await negotiateV0(served, request);
  head.push(...lines);
  return pack ? joined(head, packLines(served, request, history)) : joined(head, nothing());
}

/** Source: Git's upload-pack.c, get_common_commits. */
async function negotiateV0(
  { database }: Served,
  request: FetchRequestV0,
): Promise<{ lines: Buffer[]; pack: boolean }> {
  const lines: Buffer[] = [];
  const common = new Set<string>();
  // Asked again after each line, and answered anew only when there is more in common.
  let asked = 0;
  let answered = false;
  const enough = async () => {
    if (!answered && common.size > asked) {
      asked = common.size;
      answered = await leadToCommon(database, request.wants, common);
    }
    return answered;
  };
  let last = '';
  let gotCommon = false;
  let gotOther = false;
  let ready = false;
  for (const line of request.rounds) {
    if (line === 'flush') {
      if (request.multiAck === 'detailed' && gotCommon && !gotOther && (await enough())) {
        ready = true;
        lines.push(pkt(`ACK ${last} ready\n`));
      }
      if (common.size === 0 || request.multiAck !== 'none') lines.push(pkt('NAK\n'));
      if (request.noDone && ready) {
        lines.push(pkt(`ACK ${last}\n`));
        request.haves = [...common];
        return { lines, pack: true };
      }
      gotCommon = false;
      gotOther = false;
    } else if (database.has(line)) {
      gotCommon = true;
      last = line;
      common.add(line);
      if (request.multiAck === 'detailed') lines.push(pkt(`ACK ${line} common\n`));
      else if (request.multiAck === 'continue') lines.push(pkt(`ACK ${line} continue\n`));
      else if (common.size === 1) lines.push(pkt(`ACK ${line}\n`));
    } else {
      gotOther = true;
      if (request.multiAck !== 'none' && (await enough())) {
        ready ||= request.multiAck === 'detailed';
        lines.push(pkt(`ACK ${line} ${request.multiAck === 'detailed' ? 'ready' : 'continue'}\n`));
      }
    }
  }
  request.haves = [...common];
  if (!request.done) return { lines, pack: false };
  if (common.size === 0) lines.push(pkt('NAK\n'));
  else if (request.multiAck !== 'none') lines.push(pkt(`ACK ${last}\n`));
  return { lines, pack: true };
}

/** Answers a `git-upload-pack` request of protocol version 2. */
export async function uploadPackV2(served: Served, body: Uint8Array): Promise<AsyncIterable<Uint8Array>> {
  const { command, lines } = parseCommand(body);
  if (command === undefined) return nothing();
  if (command === 'ls-refs') return joined([lsRefs(served.refs, lines)], nothing());
  if (command !== 'fetch')
    throw new CairnError('NOT_SUPPORTED', `The command "${command}" is not supported.`);
  const request = parseFetchV2(lines, served.refs);
  if (request.wants.length === 0) return nothing();
  requireWants(served, request);
  const head: Buffer[] = [];
  request.haves = request.haves.filter((oid) => served.database.has(oid));
  const said = lines.some((line) => line.startsWith('have '));
  if (said && !request.done) {
    head.push(pkt('acknowledgments\n'));
    if (request.haves.length === 0) head.push(pkt('NAK\n'));
    for (const oid of request.haves) head.push(pkt(`ACK ${oid}\n`));
    const ready =
      !request.wait && (await leadToCommon(served.database, request.wants, new Set(request.haves)));
    if (!ready) return joined([...head, FLUSH], nothing());
    head.push(pkt('ready\n'), DELIM);
  }
  const history = await shallowUpdate(served, request);
  if (request.deepen || request.shallow.length > 0)
    head.push(pkt('shallow-info\n'), ...(request.deepen ? shallowLines(history) : []), DELIM);
  head.push(pkt('packfile\n'));
  return joined(head, packLines(served, request, history));
}

function parseCommand(body: Uint8Array): { command?: string; lines: string[] } {
  const reader = new PktReader(body);
  let command: string | undefined;
  const lines: string[] = [];
  let argumentsBegan = false;
  for (let line = reader.next(); line !== undefined && line !== 'flush'; line = reader.next()) {
    if (line === 'delim') argumentsBegan = true;
    else if (typeof line === 'string') break;
    else {
      const text = line.toString().replace(/\n$/, '');
      if (argumentsBegan) lines.push(text);
      else if (text.startsWith('command=')) command = text.slice('command='.length);
    }
  }
  return command === undefined ? { lines } : { command, lines };
}

function requireWants({ database }: Served, { wants }: FetchRequest): void {
  const strange = wants.find((oid) => !database.has(oid));
  if (strange !== undefined)
    throw new CairnError('INVALID_ARGUMENT', `upload-pack: not our ref ${strange}`, 'want');
}

async function shallowUpdate({ database }: Served, request: FetchRequest): Promise<ShallowUpdate> {
  if (request.deepen) return deepen(database, request.wants, request.shallow, request.deepen);
  return { shallow: [], unshallow: [], cut: new Set(request.shallow), wants: [] };
}

const shallowLines = ({ shallow, unshallow }: ShallowUpdate) => [
  ...shallow.map((oid) => pkt(`shallow ${oid}\n`)),
  ...unshallow.map((oid) => pkt(`unshallow ${oid}\n`)),
];

async function* packLines(
  served: Served,
  request: FetchRequest,
  history: ShallowUpdate,
): AsyncGenerator<Uint8Array> {
  const { database, refs } = served;
  const { bands } = request;
  const say = request.quiet ? () => [] : (text: string) => progress(text, bands);
  const sending = (count: number) => say(`Sending ${count} ${count === 1 ? 'object' : 'objects'}.\n`);
  try {
    const whole = isClone(request) ? await served.whole?.() : undefined;
    const beside = whole && (await selectBeside(database, request.wants, whole));
    if (whole && beside) {
      yield* sending(whole.size + beside.objects.size);
      const pack = streamPack(database, beside, false, { size: whole.size, entries: await whole.entries() });
      yield* data(pack, bands);
      if (bands !== undefined) yield FLUSH;
      return;
    }
    const selected = await selectObjects(database, {
      wants: [...request.wants, ...history.wants],
      haves: request.haves,
      cut: history.cut,
      edges: history.unshallow,
      ...(request.filter && { filter: request.filter }),
      ...(request.followTags && { follow: refs.filter(({ peeled }) => peeled !== undefined) }),
    });
    yield* sending(selected.objects.size);
    yield* data(streamPack(database, selected, request.thin), bands);
    if (bands !== undefined) yield FLUSH;
  } catch (error) {
    // The status has been sent: the client learns of it on a band, the log from what is thrown on.
    yield* fatal('The repository could not be read: try again.', bands);
    throw error;
  }
}

/** The client has nothing yet and wants all of it. */
const isClone = ({ haves, shallow, deepen: depth, filter }: FetchRequest) =>
  haves.length === 0 && shallow.length === 0 && !depth && !filter;

async function* joined(
  head: readonly Uint8Array[],
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield Buffer.concat(head);
  yield* rest;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
