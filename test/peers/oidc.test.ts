import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type InstalledCli, installCli } from '../cli/harness.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { runGit } from './git.ts';
import { NEWEST, requirements } from './mlflow-requirements.ts';
import { MACHINE, type OidcServer, startOidcServer } from './oidc-server.ts';
import { pythonEnv, runPython } from './python.ts';

const PROJECT = join(import.meta.dirname, '../..');

let dir: string;
let oidc: OidcServer;
let server: TestServer;
let cli: InstalledCli;
let token: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-oidc-'));
  oidc = await startOidcServer();
  server = await startServer(join(dir, 'data'), oidc.settings);
  token = await oidc.machineToken();
  cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: token }));
});
afterAll(async () => {
  await cli?.remove();
  await server?.stop();
  await oidc?.stop();
  await rm(dir, { recursive: true, force: true });
});

test('start-up says whom it trusts', () => {
  expect(server.output()).toContain(`Trusted issuer  ${oidc.issuer} (audience urn:cairn)`);
});

test('the command works with an access token of a real issuer', async () => {
  const who = await cli.json(['whoami']);
  expect(who).toMatchObject({ principal: 'oidc:ci', issuer: oidc.issuer, expiresAt: expect.any(String) });
  await writeFile(join(cli.home, 'notes.txt'), 'one\n');
  expect(await cli.json(['push', 'notes.txt', 'oidc-cli'])).toMatchObject({ author: 'oidc:ci' });
  const told = await cli.run(['token', 'create', 'eve', '--role', 'viewer']);
  expect([told.status, told.stderr]).toEqual([
    expect.any(Number),
    expect.stringContaining('oidc:ci needs the role "admin"'),
  ]);
});

test('git clones and pushes with it as password', async () => {
  const url = `${server.url.replace('://', `://any:${token}@`)}/default/oidc-cli.git`;
  const git = async (where: string, ...args: string[]) => {
    const { status, stderr } = await runGit(dir, join(dir, where), args);
    expect([args[0], status, stderr]).toEqual([args[0], 0, expect.any(String)]);
    return stderr;
  };
  await git('.', 'clone', '-q', url, 'clone');
  await writeFile(join(dir, 'clone/more.txt'), 'two\n');
  await git('clone', 'add', '-A');
  await git('clone', 'commit', '-q', '-m', 'two');
  expect(await git('clone', 'push', 'origin', 'HEAD:main')).toContain('oidc-cli@2 is READY');
  const refused = await runGit(dir, dir, ['ls-remote', url.replace(token, `${token.slice(0, -8)}AAAAAAAA`)]);
  expect(refused.status).not.toBe(0);
});

test('MLflow’s client works with it as MLFLOW_TRACKING_TOKEN', async () => {
  const before = process.env.MLFLOW_TRACKING_TOKEN;
  process.env.MLFLOW_TRACKING_TOKEN = token;
  try {
    const python = await pythonEnv('mlflow', requirements(NEWEST));
    const said = JSON.parse(
      (await runPython(python, 'oidc_mlflow.py', [server.url])).trim().split('\n').at(-1) ?? '',
    );
    expect(said.models).toContain('oidc-mlflow');
  } finally {
    if (before === undefined) delete process.env.MLFLOW_TRACKING_TOKEN;
    else process.env.MLFLOW_TRACKING_TOKEN = before;
  }
});

test('the guide’s commands run as written', async () => {
  const page = await readFile(join(PROJECT, 'docs/access.md'), 'utf8');
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block).join('\n');
  const cairn = `npx() { shift; "${process.execPath}" "${cli.home}/bin/cairn.js" "$@"; }`;
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', `${cairn}\n${blocks}`], {
    env: {
      PATH: process.env.PATH,
      HOME: dir,
      CAIRN_URL: server.url,
      TOKEN_URL: `${oidc.issuer}/token`,
      CLIENT_ID: MACHINE.id,
      CLIENT_SECRET: MACHINE.secret,
      AUDIENCE: 'urn:cairn',
    },
  });
  expect(stdout).toContain(`oidc:ci, by ${oidc.issuer} (contributor on default), until `);
  expect(stdout).toContain('"principal":"oidc:ci"');
});

test('the audit trail says who it was and who vouched for it', async () => {
  const { body } = await server.api('GET', '/api/v1/workspaces/default/audit?limit=100');
  const actors = body.items.map(({ actor }: { actor: object }) => actor);
  expect(actors).toContainEqual({ principal: 'oidc:ci', issuer: oidc.issuer });
  expect((await cli.json(['audit', 'verify'])).ok).toBe(true);
});

test('another role comes with the next token, none is 403, and one that is no JWT is 401', async () => {
  const status = async (given: string) =>
    (await fetch(`${server.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${given}` } })).status;
  oidc.groups = ['visitors'];
  const visitor = await oidc.machineToken();
  oidc.groups = ['ml'];
  expect([await status(token), await status(visitor), await status('opaque')]).toEqual([200, 403, 401]);
});

/** `cairn login --oidc` on its way, once it has said where to sign in. */
async function beginLogin(): Promise<{
  address: string;
  ended: Promise<[status: number | null, said: string]>;
}> {
  const child = cli.start(['login', server.url, '--oidc'], { env: { CAIRN_TOKEN: '' } });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const ended = new Promise<[number | null, string]>((resolve) =>
    child.once('close', (status) => resolve([status, said])),
  );
  await vi.waitFor(() => expect(said).toMatch(/or open (\S+)/), { timeout: 20_000 });
  const address = /or open (\S+)/.exec(said)?.[1] ?? '';
  expect(address).toContain(oidc.issuer);
  return { address, ended };
}

test('a person signs in through a browser, and the command keeps the token', async () => {
  const { address, ended } = await beginLogin();
  expect(await browse(address, { login: 'ada' })).toContain('Sign-in Success');
  expect(await ended).toEqual([0, expect.stringContaining('as oidc:ada, by ')]);
  expect(await cli.json(['whoami'], { env: { CAIRN_TOKEN: '' } })).toMatchObject({
    principal: 'oidc:ada',
    issuer: oidc.issuer,
  });
  const asked = await cli.run(['credential', 'get'], {
    env: { CAIRN_TOKEN: '' },
    stdin: `protocol=http\nhost=${new URL(server.url).host}\n\n`,
  });
  expect(asked.stdout).toMatch(/^password=eyJ/m);
});

test('a person who declines is not signed in', async () => {
  const { address, ended } = await beginLogin();
  await browse(address, { abort: 'yes' });
  expect(await ended).toEqual([1, expect.stringContaining('Nobody was signed in: ')]);
});

/**
 * What a person does in the browser: confirms the code, signs in, consents; each a form of the server's pages.
 * @param answers what the person writes in fields and which button is pressed, where there is one
 * @returns the last page
 */
async function browse(address: string, answers: Readonly<Record<string, string>>): Promise<string> {
  const cookies = new Map<string, string>();
  let url = new URL(address);
  let form: URLSearchParams | undefined;
  for (let step = 0; step < 20; step++) {
    const answer = await fetch(url, {
      ...(form ? { method: 'POST', body: form } : {}),
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(name, value);
    }
    const declined = form?.has('abort') === true;
    form = undefined;
    const location = answer.headers.get('location');
    const page = await answer.text();
    if (location !== null) {
      url = new URL(location, url);
      continue;
    }
    const [, action] = /<form[^>]* action="([^"]+)"/.exec(page) ?? [];
    if (action === undefined || declined) return page;
    url = new URL(action.replaceAll('&amp;', '&'), url);
    const inputs = [...page.matchAll(/<input[^>]*>/g)].map(([input]) => input);
    const field = (input: string, name: string) => new RegExp(`${name}="([^"]*)"`).exec(input)?.[1] ?? '';
    form = new URLSearchParams();
    for (const input of inputs) form.append(field(input, 'name'), field(input, 'value'));
    for (const [name, value] of Object.entries({ password: 'any', ...answers }))
      if (page.includes(`name="${name}"`)) form.set(name, value);
  }
  throw new Error('The server asks again and again.');
}
