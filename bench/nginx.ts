import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { command, freePort } from './context.ts';

/** nginx over the files of one folder, with the settings it is quickest with. */
export async function startNginx(root: string): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const own = join(root, 'nginx');
  await mkdir(own);
  const config = join(own, 'nginx.conf');
  const port = await freePort();
  await writeFile(
    config,
    `daemon off; pid ${own}/pid; error_log ${own}/error.log; user root;
     events {} http { access_log off; sendfile on; tcp_nopush on; client_body_temp_path ${own}/body;
     server { listen 127.0.0.1:${port}; root ${root}; } }`,
  );
  command('nginx', 'nginx-light', ['-t', '-c', config]);
  const child = spawn('nginx', ['-c', config], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const url = `http://127.0.0.1:${port}`;
  while (spawnSync('curl', ['-sI', url]).status !== 0)
    if (child.exitCode !== null) throw new Error('nginx did not start');
  return {
    url,
    async stop() {
      child.kill();
      await exited;
    },
  };
}
