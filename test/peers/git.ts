import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { startServer, type TestServer, TOKEN } from '../support/server.ts';

export interface GitAnswer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs git as if nobody had ever configured it. */
export function runGit(
  home: string,
  dir: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string | Uint8Array,
): Promise<GitAnswer> {
  return new Promise((resolve) => {
    const child = execFile(
      'git',
      args,
      {
        cwd: dir,
        maxBuffer: 512 * 1024 * 1024,
        env: {
          PATH: process.env.PATH,
          HOME: home,
          LC_ALL: 'C.UTF-8',
          GIT_CONFIG_NOSYSTEM: '1',
          GIT_TERMINAL_PROMPT: '0',
          GIT_AUTHOR_NAME: 'Ada Lovelace',
          GIT_AUTHOR_EMAIL: 'ada@example.org',
          GIT_COMMITTER_NAME: 'Ada Lovelace',
          GIT_COMMITTER_EMAIL: 'ada@example.org',
          ...env,
        },
      },
      (error, stdout, stderr) =>
        resolve({ status: error ? Number((error as { code?: unknown }).code ?? 1) : 0, stdout, stderr }),
    );
    if (input !== undefined) child.stdin?.end(input);
  });
}

/** A Cairn, a folder for clones, and git that knows the token. */
export interface GitWorld {
  readonly server: TestServer;
  readonly dir: string;
  /** Where the model's repository is, with a token in it. */
  url(model: string, token?: string): string;
  /** Runs git in a folder of the world; fails unless it succeeds. @returns what it printed */
  git(where: string, ...args: string[]): Promise<string>;
  /** Runs git, whatever comes of it. */
  tryGit(where: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<GitAnswer>;
  close(): Promise<void>;
}

export async function openGitWorld(
  env: Readonly<Record<string, string>> = {},
  gitEnv: Readonly<Record<string, string>> = {},
): Promise<GitWorld> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-git-'));
  const server = await startServer(join(dir, 'data'), env);
  const tryGit = (where: string, args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    runGit(dir, join(dir, where), args, { ...gitEnv, ...more });
  return {
    server,
    dir,
    url: (model, token = TOKEN) =>
      `${server.url.replace('://', `://git:${token}@`)}/default/${encodeURIComponent(model)}.git`,
    tryGit,
    async git(where, ...args) {
      const { status, stdout, stderr } = await tryGit(where, args);
      if (status !== 0) throw new Error(`git ${args.join(' ')} failed (${status}):\n${stderr}${stdout}`);
      return stdout;
    },
    async close() {
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
