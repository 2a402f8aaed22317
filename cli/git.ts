import { spawn } from 'node:child_process';
import { CliError } from './cli-error.ts';

interface Ran {
  readonly status: number;
  readonly stdout: string;
}

/** Runs git; what it says to people goes on to them. @throws CliError if there is no git */
export function git(
  args: readonly string[],
  options: { cwd?: string; quiet?: boolean; signal: AbortSignal },
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, {
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      stdio: ['inherit', 'pipe', options.quiet ? 'ignore' : 'inherit'],
      signal: options.signal,
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ENOENT'
          ? new CliError({ code: 'GIT_MISSING', detail: 'There is no git.', fix: 'Install git and git-lfs.' })
          : error,
      ),
    );
    child.on('close', (status) => resolve({ status: status ?? 1, stdout }));
  });
}

/** As {@link git}. @returns what it printed @throws CliError if it fails, having said why */
export async function mustGit(
  args: readonly string[],
  options: { cwd?: string; quiet?: boolean; signal: AbortSignal },
): Promise<string> {
  const { status, stdout } = await git(args, options);
  if (status === 0) return stdout;
  throw new CliError({ code: 'GIT_FAILED', detail: `git ${args.find((arg) => /^[a-z]/.test(arg))} failed.` });
}
