import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { systemCaller } from '../shared/access/caller.ts';
import { openDataDir } from '../shared/adapters/local/data-dir.ts';
import { openFilesystemBlobStore } from '../shared/adapters/local/filesystem-blob-store.ts';
import { openInProcessBus } from '../shared/adapters/local/in-process-bus.ts';
import { openKeyFile } from '../shared/adapters/local/key-file.ts';
import { openSqliteTable } from '../shared/adapters/local/sqlite-table.ts';
import { systemClock } from '../shared/adapters/local/system-clock.ts';
import type { Ports } from '../shared/ports/ports.ts';
import type { Op } from '../shared/ports/table.ts';
import { moveAlias } from '../shared/registry/alias.ts';
import { createVersion } from '../shared/registry/create-version.ts';
import { versionKey } from '../shared/registry/keys.ts';
import { createModel } from '../shared/registry/model.ts';
import { ensureDefaultWorkspace } from '../shared/registry/workspace.ts';
import { type Bench, startServer, TOKEN, wrk } from './context.ts';
import { type Measurement, median, repeat } from './measurement.ts';

const SECONDS = 3;
const ROUNDS = 5;
const FEW = 10;
const MANY = 100_000;
const ALIASES = 3000;

/** The registry's hottest read, beside a bare Hono route with the same client; and whether it grows with the versions. */
export async function alias({ dir }: Bench): Promise<Measurement[]> {
  await fill(join(dir, 'data'));
  const server = await startServer(join(dir, 'data'));
  const hello = spawn(process.execPath, [join(import.meta.dirname, 'hello.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(hello.stdout, 'data')) as [Buffer];
  const models = `${server.url}/api/v1/workspaces/default/models`;
  const ask = ['-H', `Authorization: Bearer ${TOKEN}`];
  const script = join(dir, 'each.lua');
  await writeFile(script, eachAlias(`/api/v1/workspaces/default/models/few/aliases/a`));
  try {
    const rounds = await repeat(ROUNDS, async () => ({
      hello: wrk(`http://127.0.0.1:${String(port).trim()}/hello`, SECONDS),
      few: wrk(`${models}/few/aliases/champion`, SECONDS, ask),
      many: wrk(`${models}/many/aliases/champion`, SECONDS, ask),
      each: wrk(server.url, SECONDS, [...ask, '-s', script]),
    }));
    const ratio = (of: 'few' | 'each') => median(rounds.map((round) => round[of] / round.hello));
    const growth = median(rounds.map((round) => round.many / round.few));
    const rate = Math.round(median(rounds.map(({ few }) => few)));
    return [
      {
        what: 'version by alias, wrk with 8 connections',
        figure: `${ratio('few').toFixed(2)} × a bare Hono route (${rate}/s)`,
        bar: '≥ 0.5 ×',
        reached: ratio('few') >= 0.5,
      },
      {
        what: `the same, ${ALIASES} aliases in turn: no answer is kept`,
        figure: `${ratio('each').toFixed(2)} × a bare Hono route`,
        bar: 'none',
        reached: true,
      },
      {
        what: `the same with ${MANY} versions of the model`,
        figure: `${growth.toFixed(2)} × with ${FEW}`,
        bar: '0.9 to 1.1 ×',
        reached: growth >= 0.9,
      },
    ];
  } finally {
    hello.kill();
    await server.stop();
  }
}

/** Makes the models: the domain makes the first versions, copies of the last record the others. */
async function fill(dataDir: string): Promise<void> {
  const data = await openDataDir(dataDir);
  const table = await openSqliteTable(data.table);
  const keys = await openKeyFile(data.keys);
  const bus = openInProcessBus(() => undefined);
  const signingKey = keys.hmacKey('storage');
  const blobs = await openFilesystemBlobStore({
    root: data.blobs,
    baseUrl: () => '',
    signingKey,
    clock: systemClock,
  });
  const ports: Ports = { table, keys, bus, blobs, clock: systemClock };
  await ensureDefaultWorkspace(ports);
  await makeModel(ports, 'few', FEW);
  await makeModel(ports, 'many', MANY);
  const caller = systemCaller('bench', 'bench');
  for (let n = 0; n < ALIASES; n++) {
    await moveAlias(ports, caller, { workspace: 'default', name: 'few', alias: `a${n}` }, (n % FEW) + 1);
  }
  await table.close();
  data.release();
}

async function makeModel(ports: Ports, name: string, versions: number): Promise<void> {
  const caller = systemCaller('bench', 'bench');
  const ref = { workspace: 'default', name };
  const { id } = await createModel(ports, caller, { ...ref, description: '', tags: {} });
  const draft = { message: '', description: '', tags: {}, source: { via: 'api' as const } };
  const { rev: _, ...first } = await createVersion(ports, caller, ref, draft, [
    { path: 'a.txt', bytes: Buffer.from('a') },
  ]);
  for (let from = 2; from <= versions; from += 100) {
    const numbers = Array.from({ length: Math.min(100, versions - from + 1) }, (_, n) => from + n);
    const put = (number: number): Op => ({
      put: { ...versionKey(id, number), body: { ...first, number } },
      if: 'absent',
    });
    await ports.table.transact(numbers.map(put));
  }
  await moveAlias(ports, caller, { ...ref, alias: 'champion' }, versions);
}

const eachAlias = (path: string) => `
local n = 0
request = function()
  n = (n + 1) % ${ALIASES}
  return wrk.format('GET', '${path}' .. n)
end`;
