import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request as open, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { startCairn } from '../../functions/local/cairn.ts';
import { buildCli } from '../../tools/build-cli.ts';

export const ADMIN_TOKEN = 'an-admin-token-for-tests';

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly cwd?: string;
  /** A file descriptor that its output goes to. */
  readonly stdout?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** The built command in a folder of its own, and a place for what it stores. */
export interface InstalledCli {
  readonly home: string;
  start(args: readonly string[], options?: RunOptions): ReturnType<typeof spawn>;
  run(args: readonly string[], options?: RunOptions): Promise<Run>;
  /** Runs with `--json`. @throws Error unless it exits with 0 and stdout is one JSON document */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into documents whose shape is what they check
  json(args: readonly string[], options?: RunOptions): Promise<any>;
  remove(): Promise<void>;
}

/** Bundles the command as a release does and copies nothing else beside it. */
export async function installCli(env: () => Readonly<Record<string, string>>): Promise<InstalledCli> {
  const home = await mkdtemp(join(tmpdir(), 'cairn-cli-'));
  const bundle = join(home, 'bin', 'cairn.js');
  await buildCli(resolve(import.meta.dirname, '../../cli/main.ts'), bundle);
  const start = (args: readonly string[], options: RunOptions = {}) =>
    spawn(process.execPath, [bundle, ...args], {
      cwd: options.cwd ?? home,
      stdio: ['pipe', options.stdout ?? 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: home,
        XDG_CONFIG_HOME: join(home, 'config'),
        XDG_STATE_HOME: join(home, 'state'),
        ...env(),
        ...options.env,
      },
    });
  const run = async (args: readonly string[], options: RunOptions = {}): Promise<Run> => {
    const child = start(args, options);
    const texts = { stdout: '', stderr: '' };
    child.stdout?.setEncoding('utf8').on('data', (text) => (texts.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text) => (texts.stderr += text));
    child.stdin?.end(options.stdin ?? '');
    const status = await new Promise<number | null>((done) => child.on('close', done));
    return { status, ...texts };
  };
  return {
    home,
    start,
    run,
    async json(args, options) {
      const { status, stdout, stderr } = await run([...args, '--json'], options);
      if (status !== 0) throw new Error(`cairn ${args.join(' ')} exited with ${status}: ${stderr}`);
      return JSON.parse(stdout);
    },
    remove: () => rm(home, { recursive: true, force: true }),
  };
}

/** What a request meets on its way: an answer in place of the server's, or another body. */
export interface Fault {
  /** Takes the request over; true if nothing more is to be done with it. */
  request?(req: IncomingMessage, res: ServerResponse): boolean;
  /** Changes what is sent up, chunk by chunk. */
  damage?(req: IncomingMessage, chunk: Buffer): Buffer;
  /** Changes the body of the server's answer. */
  body?(req: IncomingMessage, body: Buffer, res: ServerResponse): Buffer | undefined;
}

/** The whole product on this machine, reached through a proxy that can be told to fail. */
export interface TestServer {
  readonly url: string;
  readonly dataDir: string;
  /** Every request so far, `GET /path`. */
  readonly requests: { readonly line: string; readonly headers: IncomingMessage['headers'] }[];
  fault: Fault;
  /** Breaks every connection that is open. */
  dropConnections(): void;
  close(): Promise<void>;
}

export async function startServer({ webhooksInside = false } = {}): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cairn-server-'));
  const requests: TestServer['requests'] = [];
  let target = '';
  const proxy = createServer((req, res) => {
    requests.push({ line: `${req.method} ${req.url}`, headers: req.headers });
    if (server.fault.request?.(req, res)) return;
    const onward = open(target + req.url, { method: req.method ?? 'GET', headers: req.headers }, (answer) => {
      if (!server.fault.body) {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
        return;
      }
      const chunks: Buffer[] = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => {
        const whole = Buffer.concat(chunks);
        const body = server.fault.body?.(req, whole, res) ?? whole;
        if (res.destroyed || res.headersSent) return;
        const { 'content-length': _, ...headers } = answer.headers;
        res.writeHead(answer.statusCode ?? 502, { ...headers, 'content-length': body.length }).end(body);
      });
    });
    onward.on('error', () => res.destroy());
    req.on('data', (chunk) => onward.write(server.fault.damage?.(req, chunk) ?? chunk));
    req.on('end', () => onward.end());
    req.on('close', () => req.complete || onward.destroy());
  });
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  // The proxy is the public address, so that signed URLs lead through it as well.
  const port = await freePort();
  const settings = {
    host: '127.0.0.1',
    port,
    dataDir,
    publicUrl: url,
    adminToken: ADMIN_TOKEN,
    webhooksInside,
    logLevel: 'silent',
  };
  const running = await startCairn(settings, pino({ level: 'silent' }));
  target = `http://127.0.0.1:${port}`;
  const server: TestServer = {
    url,
    dataDir,
    requests,
    fault: {},
    dropConnections: () => proxy.closeAllConnections(),
    async close() {
      proxy.closeAllConnections();
      proxy.close();
      await running.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  return server;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
