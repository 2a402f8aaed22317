import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server that takes what is posted to it, on this machine. */
export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** Statuses to answer before it takes anything; it is not to be asked again for ten minutes. */
  readonly refusals: number[];
  close(): Promise<void>;
}

export async function openReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const refusals: number[] = [];
  const server = createServer(async (request, response) => {
    const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>);
    received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    const refusal = refusals.shift();
    if (refusal === undefined) response.writeHead(200).end('taken');
    else response.writeHead(refusal, { 'retry-after': '600' }).end('refused');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    refusals,
    close: () => new Promise((closed) => server.close(() => closed())),
  };
}
