import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { get } from 'node:http';
import { Upstream } from './gateway-upstream.ts';
import { residentMiB } from './process-facts.ts';
import type { ProcessLedger } from './process-ledger.ts';
import { lineSplitter } from './replica-log.ts';

/** Milliseconds. */
export interface ReplicaTimes {
  /** Until a process has to be ready. */
  readonly start: number;
  /** That requests under way get to finish before the process is told to end. */
  readonly drain: number;
  /** Between SIGTERM and SIGKILL. */
  readonly end: number;
  /** Between looks at a process' memory and health. */
  readonly check: number;
  /** Before a process that died is started again: the first and the longest pause. */
  readonly firstPause: number;
  readonly longestPause: number;
}

export interface ReplicaOptions {
  readonly name: string;
  /** Its own directory. */
  readonly cwd: string;
  readonly command: readonly [string, ...string[]];
  /** All that the process gets of an environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly host: string;
  readonly memoryMiB: number;
  readonly times: ReplicaTimes;
  readonly ledger: ProcessLedger;
  readonly onLine: (line: string) => void;
  /** It became ready, or is not any more. */
  readonly onChange: () => void;
  readonly onFailure: (why: string) => void;
}

/** Health checks in a row that may fail before a process counts as stuck, and the milliseconds that one may take. */
const MISSED_CHECKS = 3;
const HEALTH_TIMEOUT = 10_000;
/** A process that was ready so many milliseconds begins with a short pause again when it dies. */
const STEADY_AFTER = 30_000;

/**
 * One place of a revision, held by one process at a time. A process that dies, is not ready in time, grows beyond its
 * memory or stops answering is replaced, after pauses that double.
 */
export class Replica {
  readonly name: string;
  readonly #options: ReplicaOptions;
  #child: ChildProcess | undefined;
  #upstream: Upstream | undefined;
  #exited: Promise<void> = Promise.resolve();
  #ending = false;
  #pause: number;
  #restart: NodeJS.Timeout | undefined;
  /** Why the process is being killed, if it is. */
  #sentence: string | undefined;

  constructor(options: ReplicaOptions) {
    this.name = options.name;
    this.#options = options;
    this.#pause = options.times.firstPause;
    mkdirSync(options.cwd, { recursive: true });
    this.#spawn();
  }

  /** Where requests can be sent; undefined while it is not ready. */
  get upstream(): Upstream | undefined {
    return this.#upstream;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Takes no new requests from now on, lets those under way finish, and ends the process. */
  async end(): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#restart);
    const { drain, end } = this.#options.times;
    const upstream = this.#upstream;
    this.#upstream = undefined;
    if (upstream) {
      await within(upstream.idle(), drain);
      upstream.close();
    }
    this.#child?.kill('SIGTERM');
    if (!(await within(this.#exited, end))) {
      this.#child?.kill('SIGKILL');
      await this.#exited;
    }
  }

  #spawn(): void {
    const { command, cwd, env, ledger, onLine, times } = this.#options;
    const [file, ...args] = command;
    // Standard input stays open for as long as this process lives: its end tells the replica to end too.
    // Detached, so that a terminal's Ctrl-C reaches the server alone, which then drains its replicas.
    const child = spawn(file, args, {
      cwd,
      env: { ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    this.#sentence = undefined;
    let readyAt: number | undefined;
    let stopChecks = () => {};
    const startTimer = setTimeout(
      () => this.#kill(`was not ready within ${times.start / 1000} seconds`),
      times.start,
    );
    const recorded = child.pid === undefined ? Promise.resolve() : ledger.add(child.pid);
    const read = lineSplitter((line) => {
      onLine(line);
      if (readyAt !== undefined) return;
      const port = readyPort(line);
      if (port === undefined || this.#ending) return;
      readyAt = performance.now();
      clearTimeout(startTimer);
      const upstream = new Upstream(this.#options.host, port);
      this.#upstream = upstream;
      stopChecks = this.#check(child, upstream);
      this.#options.onChange();
    });
    child.stdout.setEncoding('utf8').on('data', read);
    child.stderr.setEncoding('utf8').on('data', lineSplitter(onLine));
    child.stdin.on('error', () => {});
    this.#exited = new Promise((resolve) => {
      let over = false;
      const onOver = (why: string) => {
        if (over) return;
        over = true;
        clearTimeout(startTimer);
        stopChecks();
        this.#upstream?.close();
        this.#upstream = undefined;
        void recorded.finally(() => {
          if (child.pid !== undefined) ledger.remove(child.pid);
          resolve();
        });
        if (!this.#ending) this.#again(this.#sentence ?? why, readyAt);
      };
      child.on('error', (error) => onOver(`could not be started: ${error.message}`));
      child.on('exit', (code, signal) =>
        onOver(signal ? `was ended by ${signal}` : `exited with code ${code}`),
      );
    });
  }

  #again(why: string, readyAt: number | undefined): void {
    const { times, onFailure, onChange } = this.#options;
    if (readyAt !== undefined && performance.now() - readyAt > STEADY_AFTER) this.#pause = times.firstPause;
    this.#restart = setTimeout(() => this.#spawn(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, times.longestPause);
    onFailure(`Replica ${this.name} ${why}.`);
    onChange();
  }

  #kill(why: string): void {
    this.#sentence = why;
    this.#child?.kill('SIGKILL');
  }

  /** Looks at memory and health from time to time. */
  #check(child: ChildProcess, upstream: Upstream): () => void {
    const { times, memoryMiB } = this.#options;
    let missed = 0;
    let asking = false;
    const weigh = async () => {
      const used = child.pid === undefined ? undefined : await residentMiB(child.pid);
      if (used === undefined || used <= memoryMiB || this.#upstream !== upstream) return;
      this.#kill(`used ${Math.round(used)} MiB of memory; it may use ${memoryMiB}`);
    };
    const ask = async () => {
      asking = true;
      missed = (await answers(upstream)) ? 0 : missed + 1;
      asking = false;
      if (missed < MISSED_CHECKS || this.#upstream !== upstream) return;
      this.#kill(`did not answer ${MISSED_CHECKS} health checks`);
    };
    const timer = setInterval(() => {
      void weigh();
      if (!asking) void ask();
    }, times.check);
    return () => clearInterval(timer);
  }
}

/** The port in the line that says the process is ready. */
function readyPort(line: string): number | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { ready, port } = JSON.parse(line);
    return ready === true && Number.isInteger(port) ? port : undefined;
  } catch {
    return undefined;
  }
}

/** Any answer will do: what it says is for its clients. */
function answers({ host, port }: Upstream): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = get({ host, port, path: '/ping', agent: false, timeout: HEALTH_TIMEOUT }, (response) => {
      response.resume();
      resolve(true);
    });
    probe.on('timeout', () => probe.destroy());
    probe.on('error', () => resolve(false));
    probe.on('close', () => resolve(false));
  });
}

/** Whether the promise resolved in so many milliseconds. */
async function within(promise: Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
