import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

type Way = 'up' | 'down';

/** A way to a server that can be held in the middle of a transfer. */
export interface HeldProxy {
  readonly port: number;
  /** Heads of the requests that went through, as text. */
  readonly requests: string[];
  /** Bytes that went through, each way. */
  readonly passed: Record<Way, number>;
  /** From now on nothing more passes that way once a connection has carried so many bytes. @returns when one has */
  hold(way: Way, bytes: number): Promise<void>;
  /** Ends what is held; everything passes again. */
  release(): void;
  close(): Promise<void>;
}

/** Passes connections on to a port of this machine. */
export async function heldProxy(to: number): Promise<HeldProxy> {
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  const passed = { up: 0, down: 0 };
  let held: { way: Way; bytes: number; reached(): void } | undefined;
  const pass = (from: Socket, into: Socket, way: Way) => {
    let count = 0;
    from.on('data', (chunk) => {
      if (way === 'up' && /^(GET|PUT|POST|HEAD) /.test(chunk.toString('latin1', 0, 5)))
        requests.push(chunk.toString('latin1').split('\r\n\r\n')[0] ?? '');
      if (held?.way === way && count >= held.bytes) {
        from.pause();
        held.reached();
        return;
      }
      count += chunk.length;
      passed[way] += chunk.length;
      if (!into.write(chunk)) {
        from.pause();
        into.once('drain', () => from.resume());
      }
    });
    from.on('close', () => into.destroy());
    from.on('error', () => into.destroy());
  };
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    pass(client, upstream, 'up');
    pass(upstream, client, 'down');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    passed,
    hold: (way, bytes) =>
      new Promise((resolve) => {
        held = { way, bytes, reached: resolve };
      }),
    release() {
      held = undefined;
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
