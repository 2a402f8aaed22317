import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startLocalServer, TEST_REGION } from './aws-server.ts';
import { pythonEnv } from './python.ts';

/** AWS's services on this machine, as far as the emulator goes. */
export interface Ministack {
  /** A configuration for a client in an account that nobody has used. */
  account(): MinistackAccount;
  /** In the account that requests without credentials reach: an API's own, for example. */
  readonly publicAccount: MinistackAccount;
  close(): Promise<void>;
}

export interface MinistackAccount {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/**
 * @param env what else it gets, such as `DOCKER_HOST` for an engine that runs tasks of ECS
 * @param gateway this machine's address as those tasks see it: what its functions call it by, and sign URLs for
 */
export async function startMinistack(env: Record<string, string> = {}, gateway?: string): Promise<Ministack> {
  const python = await pythonEnv('ministack', 'ministack==1.5.33\ncryptography==50.0.2\ndocker==7.1.0\n');
  const dir = await mkdtemp(join(tmpdir(), 'cairn-ministack-'));
  const server = await startLocalServer((port) => ({
    file: join(dirname(python), 'ministack'),
    args: [],
    env: {
      GATEWAY_PORT: String(port),
      BIND_HOST: '127.0.0.1',
      TMPDIR: dir,
      LOG_LEVEL: 'WARNING',
      // It runs functions with the `node` that it finds: this one.
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      ...(gateway && { BIND_HOST: '0.0.0.0', AWS_ENDPOINT_URL: `http://${gateway}:${port}` }),
      ...env,
    },
    cwd: dir,
  }));
  const close = async () => {
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  };
  const as = (accessKeyId: string): MinistackAccount => ({
    endpoint: server.endpoint,
    region: TEST_REGION,
    credentials: { accessKeyId, secretAccessKey: 'secret' },
  });
  return {
    // An access key of twelve digits is an account of its own there.
    account: () => as(String(randomInt(1e11, 1e12))),
    publicAccount: as('test'),
    close,
  };
}
