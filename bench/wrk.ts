import { command, TOKEN } from './context.ts';

/** How the client is named in the result. */
export const WRK = 'wrk -t1 -c8';

/**
 * Requests per second that wrk makes with 8 connections, for so many seconds, with the token; `script` is a Lua file.
 * @throws Error when one is not answered 2xx
 */
export function wrk(url: string, seconds: number, script?: string): number {
  const header = ['-H', `Authorization: Bearer ${TOKEN}`];
  const scripted = script === undefined ? [] : ['-s', script];
  const out = command('wrk', 'wrk', [
    '-t1',
    '-c8',
    '--timeout',
    '30s',
    `-d${seconds}`,
    ...header,
    ...scripted,
    url,
  ]);
  if (/Non-2xx|Socket errors/.test(out)) throw new Error(`wrk ${url}: ${out}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1]);
}
