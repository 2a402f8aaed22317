import { Readable } from 'node:stream';

/** A request as a client was about to send it, its body parsed where it is JSON, else as text. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into requests of every shape
  readonly body: any;
}

export type Answer =
  | { readonly status?: number; readonly body?: unknown; readonly headers?: Record<string, string> }
  | Error;

/**
 * What takes the network's place below an AWS client: keeps what is sent and answers what the test says, an Error for a
 * connection that breaks. For faults that no server makes on demand, and for exact requests.
 */
export function answeringHandler(answer: (sent: Sent, count: number) => Answer) {
  const sent: Sent[] = [];
  const handle = async (request: {
    method: string;
    path: string;
    headers: Record<string, string>;
    body?: unknown;
  }) => {
    const { body: raw = '' } = request;
    const text = typeof raw === 'string' ? raw : new TextDecoder().decode(raw as Uint8Array);
    sent.push({
      method: request.method,
      path: request.path,
      headers: request.headers,
      body: text.startsWith('{') ? JSON.parse(text) : text,
    });
    const reply = answer(sent.at(-1) as Sent, sent.length);
    if (reply instanceof Error) throw reply;
    const { status = 200, body = {}, headers = {} } = reply;
    const bytes = typeof body === 'string' ? body : JSON.stringify(body);
    return {
      response: {
        statusCode: status,
        headers: { 'content-type': 'application/x-amz-json-1.0', ...headers },
        body: Readable.from([Buffer.from(bytes)]),
      },
    };
  };
  return { sent, handler: { handle, metadata: { handlerProtocol: 'http/1.1' } } };
}
