import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bench, startServer } from './context.ts';
import { startHello } from './hello.ts';
import { fillModels } from './many-versions.ts';
import { type Measurement, medianOf, ratioOf, repeat } from './measurement.ts';
import { WRK, wrk } from './wrk.ts';

const SECONDS = 3;
const ROUNDS = 5;
const FEW = 10;
const MANY = 100_000;
/** More than the server keeps answers for. */
const ALIASES = 3000;

/** The registry's hottest read, beside a bare Hono route with the same client; and whether it grows with the versions. */
export async function alias({ dir }: Bench): Promise<Measurement[]> {
  const dataDir = join(dir, 'data');
  const models = [
    { name: 'few', versions: FEW, aliases: ALIASES },
    { name: 'many', versions: MANY, aliases: ALIASES },
  ];
  await fillModels(dataDir, models);
  const aliasesOf = (model: string) => `/api/v1/workspaces/default/models/${model}/aliases`;
  const inTurn = (model: string) => join(dir, `${model}.lua`);
  for (const { name } of models) await writeFile(inTurn(name), eachAlias(aliasesOf(name)));
  const server = await startServer(dataDir);
  const hello = await startHello();
  try {
    const rounds = await repeat(ROUNDS, () => ({
      hello: wrk(hello.url, SECONDS),
      one: wrk(`${server.url}${aliasesOf('few')}/a0`, SECONDS),
      few: wrk(server.url, SECONDS, inTurn('few')),
      many: wrk(server.url, SECONDS, inTurn('many')),
    }));
    const rate = (figure: keyof (typeof rounds)[0]) => Math.round(medianOf(rounds, figure));
    const one = ratioOf(rounds, 'one', 'hello');
    const each = ratioOf(rounds, 'few', 'hello');
    const growth = ratioOf(rounds, 'many', 'few');
    return [
      {
        what: 'version by alias, the same one again and again',
        client: WRK,
        value: one,
        figure: `${one.toFixed(2)} × a bare Hono route (${rate('one')}/s, ${rate('hello')}/s)`,
        bar: '≥ 0.5 ×',
        reached: one >= 0.5,
      },
      {
        what: `version by alias, ${ALIASES} in turn: no answer kept`,
        client: WRK,
        value: each,
        figure: `${each.toFixed(2)} × a bare Hono route (${rate('few')}/s, ${rate('hello')}/s)`,
      },
      {
        what: `the same, model with ${MANY} versions`,
        client: WRK,
        value: growth,
        figure: `${growth.toFixed(2)} × with ${FEW} versions (${rate('many')}/s, ${rate('few')}/s)`,
        bar: '0.9 to 1.1 ×',
        reached: Math.abs(growth - 1) <= 0.1,
      },
    ];
  } finally {
    hello.stop();
    await server.stop();
  }
}

const eachAlias = (path: string) => `
local requests = {}
local n = 0
init = function()
  for i = 1, ${ALIASES} do requests[i] = wrk.format('GET', '${path}/a' .. (i - 1)) end
end
request = function()
  n = n % ${ALIASES} + 1
  return requests[n]
end`;
