import type { Command } from 'commander';
import { CliError, EXIT } from './cli-error.ts';
import { type Client, makeClient } from './client.ts';
import { isTransientStatus } from './http.ts';
import { makeOutput, type Output } from './output.ts';
import { readSettings, type Settings } from './settings.ts';

/** What a verb works with. */
export interface Context {
  readonly client: Client;
  readonly settings: Settings;
  readonly workspace: string;
  readonly output: Output;
  /** Aborts on Ctrl-C; its reason is the error to end with. */
  readonly signal: AbortSignal;
  readonly version: string;
}

export interface GlobalOptions {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly workspace: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

declare const CAIRN_VERSION: string;
/** Put in by the build; a run from the sources has none. */
export const VERSION = typeof CAIRN_VERSION === 'string' ? CAIRN_VERSION : '0.0.0';

const interruption = new AbortController();

/** What is left when the command ends in the middle, in words for the person who is to go on. */
let leftBehind: string | undefined;

/** Sets what to say when the command is interrupted, or loses its server, from now on. */
export function onInterrupt(words: string | undefined): void {
  leftBehind = words;
}

process.once('SIGINT', () => {
  const detail = ['Interrupted.', leftBehind ?? ''].join(' ').trimEnd();
  interruption.abort(new CliError({ code: 'INTERRUPTED', detail }, EXIT.interrupted));
});

/** Turns a verb into commander's action: it gets a context, then the arguments and options. */
export function run<A extends unknown[]>(verb: (context: Context, ...args: A) => Promise<void>) {
  return async (...args: unknown[]): Promise<void> => {
    const command = args.at(-1) as Command;
    const options = command.optsWithGlobals<GlobalOptions>();
    const { signal } = interruption;
    const settings = await readSettings(options, process.env);
    const client = makeClient({ url: settings.url, token: settings.token, version: VERSION, signal });
    const output = makeOutput({ json: options.json ?? false, quiet: options.quiet ?? false });
    const context = { client, settings, workspace: options.workspace, output, signal, version: VERSION };
    try {
      await verb(context, ...(args.slice(0, -1) as A));
    } catch (error) {
      // Whatever an interruption made fail, the interruption is what happened.
      signal.throwIfAborted();
      throw leftBehind !== undefined && isServerGone(error) ? toGoOn(error, leftBehind) : error;
    }
  };
}

const isServerGone = (error: unknown): error is CliError =>
  error instanceof CliError &&
  (error.exitCode === EXIT.unreachable || isTransientStatus(error.problem.status ?? 0));

const toGoOn = ({ problem, exitCode }: CliError, words: string) =>
  new CliError(
    { ...problem, fix: [...(problem.fix === undefined ? [] : [problem.fix]), words].join(' ') },
    exitCode,
  );
