import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { startLocalServer, TEST_REGION } from './aws-server.ts';
import { pythonEnv } from './python.ts';

/** AWS's services on this machine, as far as the emulator goes. */
export interface Ministack {
  /** A configuration for a client in an account that nobody has used. */
  account(): {
    endpoint: string;
    region: string;
    credentials: { accessKeyId: string; secretAccessKey: string };
  };
  close(): Promise<void>;
}

export async function startMinistack(): Promise<Ministack> {
  const python = await pythonEnv('ministack', 'ministack==1.5.33\ncryptography==50.0.2\n');
  const dir = await mkdtemp(join(tmpdir(), 'cairn-ministack-'));
  const server = await startLocalServer((port) => ({
    file: join(dirname(python), 'ministack'),
    args: [],
    env: { GATEWAY_PORT: String(port), BIND_HOST: '127.0.0.1', TMPDIR: dir, LOG_LEVEL: 'WARNING' },
    cwd: dir,
  }));
  const close = async () => {
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  };
  return {
    // An access key of twelve digits is an account of its own there.
    account: () => ({
      endpoint: server.endpoint,
      region: TEST_REGION,
      credentials: { accessKeyId: String(randomInt(1e11, 1e12)), secretAccessKey: 'secret' },
    }),
    close,
  };
}
