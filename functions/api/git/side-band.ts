import { PKT_MAX, pkt } from './pkt-line.ts';

/** How many bytes of a line may be data: `side-band-64k`, `side-band`, or no bands at all. */
export type Bands = 65_515 | 995 | undefined;

const DATA = 1;
const PROGRESS = 2;
const ERROR = 3;

export const BIG_BANDS: Bands = 65_515;

/** Lines for the person at the other end, each shown behind `remote: `. */
export function progress(text: string, bands: Bands): Buffer[] {
  return band(PROGRESS, Buffer.from(text), bands);
}

/** Ends the conversation: shown behind `remote: `, and the client fails. */
export function fatal(text: string, bands: Bands): Buffer[] {
  return band(ERROR, Buffer.from(`${text}\n`), bands);
}

/** Data on its band, in lines as long as they may be: small pieces are put together. */
export async function* data(pieces: AsyncIterable<Uint8Array>, bands: Bands): AsyncGenerator<Uint8Array> {
  const most = bands ?? PKT_MAX;
  let waiting: Uint8Array[] = [];
  let size = 0;
  const wrap = (bytes: Uint8Array) => (bands === undefined ? bytes : framed(DATA, bytes));
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + most - size);
      waiting.push(part);
      size += part.length;
      at += part.length;
      if (size === most) {
        yield wrap(Buffer.concat(waiting));
        waiting = [];
        size = 0;
      }
    }
  }
  if (size > 0) yield wrap(Buffer.concat(waiting));
}

function band(number: number, bytes: Buffer, bands: Bands): Buffer[] {
  if (bands === undefined) return [];
  const lines: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += bands) lines.push(framed(number, bytes.subarray(at, at + bands)));
  return lines;
}

const framed = (number: number, bytes: Uint8Array) => pkt(Buffer.concat([Buffer.from([number]), bytes]));
