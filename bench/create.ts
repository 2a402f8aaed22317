import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bench, startServer, TOKEN, wrk } from './context.ts';
import { type Measurement, median, repeat } from './measurement.ts';

const MODELS = 64;

/** Versions of one 1 KB file sent inline, over HTTP, each durable before it is answered. */
export async function create({ dir }: Bench): Promise<Measurement[]> {
  const server = await startServer(join(dir, 'data'));
  try {
    for (let n = 0; n < MODELS; n++)
      await server.api('POST', '/workspaces/default/models', { name: `m${n}` });
    const script = join(dir, 'create.lua');
    const rates = await repeat(5, async (round) => {
      await writeFile(script, createVersions(round));
      return wrk(server.url, 4, ['-H', `Authorization: Bearer ${TOKEN}`, '-s', script]);
    });
    const rate = median(rates);
    const figure = `${Math.round(rate)}/s`;
    return [
      {
        what: `create a version, 8 clients over ${MODELS} models`,
        figure,
        bar: '≥ 1000/s',
        reached: rate >= 1000,
      },
    ];
  } finally {
    await server.stop();
  }
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
