import { CairnError } from '../../shared/errors.ts';

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The body's text, undefined if there is none.
 * @throws CairnError `TOO_LARGE` beyond `limit` bytes, however they were announced; `UNSUPPORTED_MEDIA_TYPE`;
 * `INVALID_ARGUMENT` if it is not UTF-8
 */
export async function readBody(request: Request, limit: number): Promise<string | undefined> {
  const announced = request.headers.get('content-length');
  if (announced === '0') return undefined;
  if (Number(announced ?? 0) > limit) throw tooLarge(limit);
  const bytes = await (announced === null ? readUpTo(request.body, limit) : request.arrayBuffer()).catch(
    (error) => {
      throw error instanceof CairnError ? error : invalidBody('ended before it was whole');
    },
  );
  if (bytes.byteLength === 0) return undefined;
  if (bytes.byteLength > limit) throw tooLarge(limit);
  const type = request.headers.get('content-type');
  if (type === null || !JSON_TYPE.test(type)) {
    throw new CairnError(
      'UNSUPPORTED_MEDIA_TYPE',
      type === null ? 'The request has a body without a Content-Type.' : `The body is ${type}, not JSON.`,
      'Content-Type',
    );
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw invalidBody('is not UTF-8');
  }
}

/** @throws CairnError `INVALID_ARGUMENT` about the field `body` */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidBody(`is not JSON: ${(error as Error).message}`);
  }
  // Only an escape can bring half a surrogate pair into a text that was UTF-8.
  if (/\\ud[89a-f]/i.test(text)) requireUnicode(value);
  return value;
}

/** @throws CairnError `INVALID_ARGUMENT` for half a surrogate pair, which is no Unicode and cannot be stored */
function requireUnicode(body: unknown): void {
  const left: { value: unknown; path: string }[] = [{ value: body, path: '' }];
  for (let next = left.pop(); next; next = left.pop()) {
    const { value, path } = next;
    if (typeof value === 'string' && !value.isWellFormed()) throw notUnicode(path || 'body');
    if (typeof value !== 'object' || value === null) continue;
    for (const [name, inner] of Object.entries(value)) {
      if (!name.isWellFormed()) throw notUnicode(path || 'body');
      left.push({ value: inner, path: path === '' ? name : `${path}.${name}` });
    }
  }
}

const notUnicode = (field: string) =>
  new CairnError('INVALID_ARGUMENT', `${field} must be valid Unicode.`, field);

/** Without Content-Length nobody but us stops a body that does not end. */
export async function readUpTo(body: ReadableStream<Uint8Array> | null, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.byteLength;
    if (length > limit) throw tooLarge(limit);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const tooLarge = (limit: number) =>
  new CairnError('TOO_LARGE', `The request's body is over ${limit / 1_000_000} MB.`, 'body');

const invalidBody = (what: string) => new CairnError('INVALID_ARGUMENT', `The body ${what}.`, 'body');
