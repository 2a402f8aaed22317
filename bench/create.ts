import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bench, type BenchServer, startServer } from './context.ts';
import { countFsyncs, fsyncsPerSecond } from './fsync.ts';
import { type Measurement, medianOf, repeat } from './measurement.ts';
import { WRK, wrk } from './wrk.ts';

const MODELS = 64;
const SECONDS = 4;
const ROUNDS = 5;
/** What has to be on the disk before a version is acknowledged: the journal of small blobs and the table's log. */
const COMMITS = ['/blobs/journal/', '/table.sqlite'];

/** Versions of one 1 KB file sent inline, over HTTP, each durable before it is answered. */
export async function create({ dir }: Bench): Promise<Measurement[]> {
  const server = await startServer(join(dir, 'data'));
  try {
    for (let n = 0; n < MODELS; n++)
      await server.api('POST', '/workspaces/default/models', { name: `m${n}` });
    const script = join(dir, 'create.lua');
    const createFor = async (round: number) => {
      await writeFile(script, createVersions(round));
      return wrk(server.url, SECONDS, script);
    };
    const rounds = await repeat(ROUNDS, async (round) => ({
      disk: await fsyncsPerSecond(join(dir, 'fsync')),
      rate: await createFor(round),
    }));
    const rate = medianOf(rounds, 'rate');
    const disk = medianOf(rounds, 'disk');
    const fsyncs = await fsyncsPerVersion(server, () => createFor(ROUNDS));
    return [
      {
        what: `create a version, 1 KB inline, over ${MODELS} models`,
        client: WRK,
        value: rate,
        figure: `${rate.toFixed(0)}/s (the disk: ${disk.toFixed(0)} fsyncs/s one by one)`,
        bar: '≥ 1000/s',
        reached: rate >= 1000,
      },
      {
        what: 'fsyncs that each of these waited for',
        client: 'strace',
        value: fsyncs,
        figure: `${fsyncs.toFixed(2)} for each version: those of the clients at once are shared`,
      },
    ];
  } finally {
    await server.stop();
  }
}

async function fsyncsPerVersion(server: BenchServer, create: () => Promise<unknown>): Promise<number> {
  const before = await countVersions(server);
  const counter = await countFsyncs(server.process.pid, COMMITS);
  await create();
  const fsyncs = await counter.stop();
  return fsyncs / ((await countVersions(server)) - before);
}

/** Versions of all models: the newest of each has its model's count as its number. */
async function countVersions(server: BenchServer): Promise<number> {
  let count = 0;
  for (let n = 0; n < MODELS; n++) {
    const path = `/workspaces/default/models/m${n}/versions?limit=1`;
    const { items } = await server.api<{ items: { version: number }[] }>('GET', path);
    count += items[0]?.version ?? 0;
  }
  return count;
}

/** Every request has a file of its own, so that every one stores new bytes. */
const createVersions = (round: number) => `
local n = 0
wrk.headers['Content-Type'] = 'application/json'
request = function()
  n = n + 1
  local text = string.rep('x', 1000) .. string.format('%010d-${round}', n)
  local body = '{"files":[{"path":"weights.txt","text":"' .. text .. '"}]}'
  return wrk.format('POST', '/api/v1/workspaces/default/models/m' .. (n % ${MODELS}) .. '/versions', nil, body)
end`;
