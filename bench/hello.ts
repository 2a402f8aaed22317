import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** Starts the least that Hono can do, in a process of its own. */
export async function startHello(): Promise<{ readonly url: string; stop(): void }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./hello-server.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return { url: `http://127.0.0.1:${String(port).trim()}/hello`, stop: () => void child.kill() };
}
