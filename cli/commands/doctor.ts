import type { Command } from 'commander';
import type { Whoami } from '../api.ts';
import { CliError } from '../cli-error.ts';
import { type Context, run } from '../context.ts';
import { paint, plain } from '../output.ts';
import { configFile, configMode } from '../settings.ts';
import { whoText } from './whoami.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly fix?: string;
}

const SKEW_MAX = 60;
const NODE_LEAST = [20, 19] as const;

export function doctor(program: Command): void {
  program
    .command('doctor')
    .description('check the settings, the server and the way between')
    .addHelpText(
      'after',
      '\nExits with 1 if a check fails.\n\nExamples:\n  cairn doctor\n  cairn doctor --json',
    )
    .action(
      run(async (context) => {
        const checks = await diagnose(context);
        const ok = checks.every((check) => check.ok);
        context.output.result({ ok, checks }, () => checks.map(checkText).join('\n'));
        if (!ok && !context.output.json) context.output.note('\nSome checks failed.');
        if (!ok) process.exitCode = 1;
      }),
    );
}

function checkText({ name, ok, detail, fix }: Check): string {
  const mark = ok ? paint('green', '✓') : paint('red', '✗');
  return `${mark} ${name}: ${plain(detail)}${fix === undefined ? '' : `\n  → ${plain(fix)}`}`;
}

async function diagnose(context: Context): Promise<Check[]> {
  const local = [node(), await config(context)];
  const { server, reached } = await checkServer(context);
  return [...local, ...server, ...(reached ? [await ready(context), await checkToken(context)] : [])];
}

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1]);
  const base = { name: 'Node.js', ok, detail: process.version };
  return ok ? base : { ...base, fix: `Install Node.js ${NODE_LEAST.join('.')} or newer.` };
}

async function config({ settings }: Context): Promise<Check> {
  const name = 'Settings';
  const file = configFile(process.env);
  const mode = await configMode(process.env);
  const from = `server ${settings.url.href} from ${settings.urlFrom}, token ${settings.tokenFrom ? `from ${settings.tokenFrom}` : 'none'}`;
  if (mode !== undefined && (mode & 0o077) !== 0) {
    const detail = `${file} can be read by others (mode ${mode.toString(8)}); ${from}`;
    return { name, ok: false, detail, fix: `chmod 600 ${file}` };
  }
  return { name, ok: true, detail: from };
}

async function checkServer({ client, version }: Context): Promise<{ server: Check[]; reached: boolean }> {
  const started = Date.now();
  try {
    const { body, date } = await client.call<{ version?: string }>({ method: 'GET', path: '/version' });
    const ended = Date.now();
    const reachable = {
      name: 'Server',
      ok: true,
      detail: `${client.url.href} answers in ${ended - started} ms`,
    };
    return {
      server: [reachable, compatible(body.version, version), clock(date, (started + ended) / 2)],
      reached: true,
    };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const { detail, fix } = error.problem;
    return {
      server: [{ name: 'Server', ok: false, detail, ...(fix === undefined ? {} : { fix }) }],
      reached: false,
    };
  }
}

/** Versions fit when the first number that is not 0 is the same (semver.org). */
function compatible(server: string | undefined, own: string): Check {
  const name = 'Versions';
  if (server === undefined)
    return {
      name,
      ok: false,
      detail: 'The server does not tell its version.',
      fix: 'Check that the address is a Cairn server’s.',
    };
  const series = (text: string) => /^(0\.\d+|\d+)/.exec(text)?.[0];
  const detail = `command ${own}, server ${server}`;
  if (series(server) === series(own)) return { name, ok: true, detail };
  return { name, ok: false, detail, fix: `Install version ${server} of this command.` };
}

function clock(date: string | undefined, now: number): Check {
  const name = 'Clock';
  if (date === undefined) return { name, ok: true, detail: 'the server does not tell its time' };
  // The header has whole seconds, so it lies half a second back on average.
  const skew = Math.round((Date.parse(date) + 500 - now) / 1000);
  if (Math.abs(skew) <= SKEW_MAX)
    return { name, ok: true, detail: `${Math.abs(skew)} s apart from the server` };
  const detail = `this machine is ${Math.abs(skew)} s ${skew > 0 ? 'behind' : 'ahead of'} the server`;
  return {
    name,
    ok: false,
    detail,
    fix: 'Set the clock, for example with NTP: signed addresses and tokens expire by it.',
  };
}

async function ready({ client }: Context): Promise<Check> {
  const name = 'Readiness';
  try {
    await client.call({ method: 'GET', path: '/readyz', once: true });
    return { name, ok: true, detail: 'the server can do its work' };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const { code, detail } = error.problem;
    const fix =
      code === 'STORAGE_FULL'
        ? 'Free some space on its disk.'
        : 'Its log has the cause, for example a bucket that cannot be reached.';
    return { name, ok: false, detail: `the server cannot do its work now: ${detail}`, fix };
  }
}

async function checkToken({ client, settings }: Context): Promise<Check> {
  const name = 'Token';
  if (settings.token === undefined)
    return { name, ok: false, detail: 'there is none', fix: 'Run `cairn login`, or set CAIRN_TOKEN.' };
  try {
    return { name, ok: true, detail: whoText(await client.get<Whoami>('/api/v1/whoami')) };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const { code, detail, fix } = error.problem;
    if (code === 'UNAUTHENTICATED' || fix === undefined)
      return { name, ok: false, detail, fix: 'Run `cairn login` with a token that is valid.' };
    return { name, ok: false, detail, fix };
  }
}
