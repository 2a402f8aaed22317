import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { MinistackAccount } from './aws-ministack.ts';

const PROJECT = join(import.meta.dirname, '../..');
const exec = promisify(execFile);

/** The outputs of the stacks, by stack and name. */
export type Outputs = Readonly<Record<'CairnData' | 'Cairn', Readonly<Record<string, string>>>>;

export interface Installation {
  readonly outputs: Outputs;
  /** What a shell needs for the project's own scripts to mean this account and context. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs an npm script of the project's on the same account, with the same context. */
  run(script: 'deploy' | 'diff' | 'destroy', ...args: string[]): Promise<{ code: number; output: string }>;
  remove(): Promise<void>;
}

/** Bootstraps an account of the emulator and deploys the real stacks into it, as a user does. */
export async function deployed(
  { endpoint, region, credentials }: MinistackAccount,
  context: Readonly<Record<string, unknown>>,
): Promise<Installation> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-cdk-'));
  const emulator = { url: endpoint, architecture: process.arch === 'arm64' ? 'ARM64' : 'X86_64' };
  // CDK's settings of a user, beside those of the project.
  const settings = {
    context: { 'cairn:emulator': emulator, ...context },
    output: join(dir, 'cdk.out'),
    notices: false,
    requireApproval: 'never',
  };
  await writeFile(join(dir, '.cdk.json'), JSON.stringify(settings));
  const env = {
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    HOME: dir,
    TMPDIR: dir,
    NO_COLOR: '1',
    CI: 'true',
    AWS_ENDPOINT_URL: endpoint,
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
  const npm = async (script: string, ...args: string[]) => {
    try {
      const { stdout, stderr } = await exec('npm', ['run', script, '--', ...args], {
        cwd: PROJECT,
        env,
        maxBuffer: 64 * 1024 * 1024,
      });
      return { code: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, output: stdout + stderr };
    }
  };
  const must = async (script: string, ...args: string[]) => {
    const { code, output } = await npm(script, ...args);
    if (code !== 0) throw new Error(`npm run ${script} failed:\n${output.slice(-5000)}`);
  };
  const file = join(dir, 'outputs.json');
  await must('cdk', 'bootstrap');
  await must('deploy', '--outputs-file', file);
  return {
    outputs: JSON.parse(await readFile(file, 'utf8')) as Outputs,
    env,
    run: npm,
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}
