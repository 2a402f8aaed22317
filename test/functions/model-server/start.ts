import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../functions/model-server/main.ts', import.meta.url));

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  json<T = Record<string, unknown>>(): T;
}

export interface Sent {
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  readonly agent?: Agent;
}

export interface StartedServer extends AsyncDisposable {
  readonly port: number;
  readonly process: ChildProcess;
  /** What it has logged so far. */
  readonly lines: readonly Record<string, unknown>[];
  send(method: string, path: string, sent?: Sent): Promise<Reply>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Reply>;
  /** Sends SIGTERM and waits; the exit code. */
  stop(): Promise<number | null>;
}

export interface StartOptions {
  readonly name?: string;
  readonly environment?: Record<string, string>;
  readonly flags?: readonly string[];
  /** Instead of this Node with the sources. */
  readonly command?: readonly string[];
  readonly onSpawn?: (child: ChildProcess) => void;
  /** What the file list says of `model.onnx` instead of the truth. */
  readonly listed?: { path?: string; size?: number; sha256?: string };
}

/** Starts the real process, as a platform does, on one ONNX file. Resolves with its exit code if it does not get ready. */
export async function startModelServer(
  model: Uint8Array,
  { name = 'digits', environment = {}, flags = [], command, listed = {}, onSpawn }: StartOptions = {},
): Promise<StartedServer | { exitCode: number | null; lines: Record<string, unknown>[] }> {
  const directory = await mkdtemp(join(tmpdir(), 'cairn-model-server-'));
  await writeFile(join(directory, 'model.onnx'), model);
  const sha256 = createHash('sha256').update(model).digest('hex');
  const list = join(directory, 'files.json');
  await writeFile(list, JSON.stringify([{ path: 'model.onnx', size: model.length, sha256, ...listed }]));
  const [file = '', ...args] = command ?? [process.execPath, ...flags, MAIN];
  const child = spawn(file, args, {
    env: {
      CAIRN_MODEL_DIR: directory,
      CAIRN_MODEL_NAME: name,
      CAIRN_MODEL_VERSION: '1',
      CAIRN_MODEL_FILES: list,
      CAIRN_PORT: '0',
      CAIRN_EXIT_WITH_PARENT: '1',
      ...environment,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onSpawn?.(child);
  const lines: Record<string, unknown>[] = [];
  const exited = once(child, 'close').then(async ([code]) => {
    await rm(directory, { recursive: true });
    return code as number | null;
  });
  const port = await new Promise<number | undefined>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line);
      lines.push(entry);
      if (entry.ready === true) resolve(entry.port);
    });
    void exited.then(() => resolve(undefined));
  });
  if (port === undefined) return { exitCode: await exited, lines };

  const agent = new Agent({ keepAlive: true });
  const stop = () => {
    agent.destroy();
    child.kill('SIGTERM');
    return exited;
  };
  const send = (method: string, path: string, sent: Sent = {}) =>
    sendTo(port, method, path, { agent, ...sent });
  return {
    port,
    process: child,
    lines,
    send,
    post: (path, body, headers = { 'content-type': 'application/json' }) =>
      send('POST', path, { headers, body: typeof body === 'string' ? body : JSON.stringify(body) }),
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

/** As {@link startModelServer}, for a model that has to get ready. */
export async function startReady(model: Uint8Array, options?: StartOptions): Promise<StartedServer> {
  const server = await startModelServer(model, options);
  if ('port' in server) return server;
  throw new Error(`the model server ended: ${JSON.stringify(server)}`);
}

function sendTo(
  port: number,
  method: string,
  path: string,
  { headers = {}, body, agent }: Sent,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const length =
      body === undefined || 'transfer-encoding' in headers
        ? {}
        : { 'content-length': String(Buffer.byteLength(body)) };
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        headers: { ...length, ...headers },
        ...(agent ? { agent } : {}),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const bytes = Buffer.concat(chunks);
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: bytes,
            json: () => JSON.parse(bytes.toString()),
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
