import { CairnError } from '../../../shared/errors.ts';
import { isOid } from '../../../shared/registry/git/object.ts';
import type { PushReport, RefCommand } from '../../../shared/registry/push.ts';
import { FLUSH, PktReader, pkt } from './pkt-line.ts';
import { type Bands, BIG_BANDS, data, progress } from './side-band.ts';

/** What a client that pushes says before its pack. */
export interface PushRequest {
  readonly commands: readonly RefCommand[];
  readonly atomic: boolean;
  readonly report: boolean;
  readonly quiet: boolean;
  readonly bands: Bands;
  /** What follows the commands. */
  readonly rest: Uint8Array;
}

/** A ref's name that is longer is none, and would not fit in a line of the answer. */
const NAME_MAX = 4096;

/** Source: Git's Documentation/gitprotocol-pack, "Reference Update Request". */
export function parsePush(body: Uint8Array): PushRequest {
  const reader = new PktReader(body);
  const commands: RefCommand[] = [];
  let capabilities = new Set<string>();
  for (let line = reader.text(); line !== undefined; line = reader.text()) {
    // Where a shallow clone's history ends: what is pushed has to be whole here.
    if (line.startsWith('shallow ')) continue;
    const [text = '', said] = line.split('\0');
    if (said !== undefined) capabilities = new Set(said.trim().split(' '));
    const [old = '', to = ''] = text.split(' ');
    const name = text.slice(82);
    if (!isOid(old) || !isOid(to) || name === '' || name.length > NAME_MAX)
      throw new CairnError('INVALID_ARGUMENT', 'The push has a line that is no command.', 'body');
    commands.push({ name, old, new: to });
  }
  return {
    commands,
    atomic: capabilities.has('atomic'),
    report: capabilities.has('report-status') || capabilities.has('report-status-v2'),
    quiet: capabilities.has('quiet'),
    bands: capabilities.has('side-band-64k') ? BIG_BANDS : undefined,
    rest: reader.rest,
  };
}

/** The answer to a push. */
export async function* pushAnswer(request: PushRequest, report: PushReport): AsyncGenerator<Uint8Array> {
  const { bands } = request;
  for (const note of report.notes) yield* progress(`${note}\n`, bands);
  if (request.report) {
    const lines = [
      `unpack ${report.unpack ?? 'ok'}\n`,
      ...report.results.map(({ name, problem }) =>
        problem === undefined ? `ok ${name}\n` : `ng ${name} ${problem}\n`,
      ),
    ];
    const status = Buffer.concat([...lines.map((line) => pkt(line)), FLUSH]);
    yield* data(once(status), bands);
  }
  if (bands !== undefined) yield FLUSH;
}

/** The answer to a push that takes a while: first what its person is told meanwhile. */
export async function* pushAnswerAfter(
  request: PushRequest,
  lines: AsyncIterable<string>,
  report: Promise<PushReport>,
): AsyncGenerator<Uint8Array> {
  const { bands } = request;
  for await (const line of lines) yield* progress(`${line}\n`, bands);
  yield* pushAnswer(request, await report);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The answer to a push that is larger than one request may be, whose beginning is at hand. */
export function tooLarge(limit: number): Pick<PushReport, 'unpack' | 'notes'> {
  return {
    unpack: `the push is over ${limit / 1_000_000} MB`,
    notes: [
      `The push is over ${limit / 1_000_000} MB. Keep large files in Git LFS, which sends them to the storage directly:`,
      '  git lfs track "*.onnx" "*.safetensors" "*.bin"',
      '  git lfs migrate import --everything --above=1MB',
      'Then push again. A long history can be sent in steps: git push origin <an older commit>:refs/heads/<branch>',
    ],
  };
}
