import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ADMIN_TOKEN, type InstalledCli, installCli, startServer, type TestServer } from './harness.ts';

let server: TestServer;
let cli: InstalledCli;

beforeAll(async () => {
  server = await startServer();
  cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: ADMIN_TOKEN }));
});

afterAll(async () => {
  await cli.remove();
  await server.close();
});

async function folderWith(files: Readonly<Record<string, string | Buffer>>): Promise<string> {
  const folder = await mkdtemp(join(cli.home, 'folder-'));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

test('what was pushed comes back byte for byte, whatever the names', async () => {
  const files = {
    'model.bin': Buffer.from([0, 255, 1, 254]),
    'with space/naïve – 数字.txt': 'ä\n',
    'empty.txt': '',
    'deep/er/and deeper/100%.json': '{}',
  };
  const name = 'Modèle – 数字 v1.0';
  const pushed = await cli.json([
    'push',
    await folderWith(files),
    name,
    '-m',
    'erste Fassung',
    '--tag',
    'a=b=c',
  ]);
  expect(pushed).toMatchObject({
    workspace: 'default',
    model: name,
    version: 1,
    status: 'READY',
    fileCount: 4,
    tags: { a: 'b=c' },
  });

  const target = join(cli.home, 'pulled');
  const pulled = await cli.json(['pull', `${name}@v1`, target]);
  expect(pulled).toMatchObject({ version: 1, fetched: 4, present: 0 });
  for (const [path, content] of Object.entries(files)) {
    expect(await readFile(join(target, path))).toEqual(Buffer.from(content));
  }
  expect(await cli.json(['pull', name, target])).toMatchObject({ fetched: 0, present: 4 });
});

test('a big push goes in parts, and the same bytes are not sent twice', async () => {
  const folder = await folderWith({
    'a.bin': Buffer.alloc(1_500_000, 1),
    'b.bin': Buffer.alloc(700_000, 2),
    'copy.bin': Buffer.alloc(700_000, 2),
  });
  const puts = () => server.requests.filter(({ line }) => line.startsWith('PUT /storage/')).length;
  expect(await cli.json(['push', folder, 'big'])).toMatchObject({
    version: 1,
    size: 2_900_000,
    source: { via: 'upload' },
  });
  const first = puts();
  expect(await cli.json(['push', folder, 'big'])).toMatchObject({ version: 2 });
  expect(puts()).toBe(first);
  const target = join(cli.home, 'big');
  await cli.json(['pull', 'big@2', target]);
  expect(await readFile(join(target, 'copy.bin'))).toEqual(Buffer.alloc(700_000, 2));
});

test('Git’s files and what Finder leaves stay at home, and the command says so', async () => {
  const folder = await folderWith({
    'm.txt': 'x',
    '.git/config': '',
    '.gitattributes': '',
    'sub/.DS_Store': '',
    '.gitignore': 'y',
  });
  const { status, stderr } = await cli.run(['push', folder, 'tidy']);
  expect(status).toBe(0);
  expect(stderr).toContain('Left out: ');
  const { files } = await cli.json(['show', 'tidy@1']);
  expect(files.map(({ path }: { path: string }) => path)).toEqual(['.gitignore', 'm.txt']);
});

test('a link inside the folder is its file; one that leads out is refused', async () => {
  const folder = await folderWith({ 'real.txt': 'inside' });
  await symlink('real.txt', join(folder, 'linked.txt'));
  expect(await cli.json(['push', folder, 'links'])).toMatchObject({ fileCount: 2 });
  await symlink('/etc/hostname', join(folder, 'out.txt'));
  const { status, stderr } = await cli.run(['push', folder, 'links', '--json']);
  expect(status).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({
    code: 'LINK_REFUSED',
    detail: expect.stringContaining('out.txt'),
  });
});

test('a pull never overwrites other bytes without --force', async () => {
  const folder = await folderWith({ 'm.txt': 'theirs' });
  await cli.json(['push', folder, 'careful']);
  const target = await folderWith({ 'm.txt': 'mine' });
  const refused = await cli.run(['pull', 'careful@1', target, '--json']);
  expect(JSON.parse(refused.stderr).code).toBe('FILE_EXISTS');
  expect(await readFile(join(target, 'm.txt'), 'utf8')).toBe('mine');
  await cli.json(['pull', 'careful@1', target, '--force']);
  expect(await readFile(join(target, 'm.txt'), 'utf8')).toBe('theirs');
});

test('a pull does not write through a link that is in the way', async () => {
  await cli.json(['push', await folderWith({ 'sub/m.txt': 'theirs' }), 'through-link']);
  const target = await folderWith({});
  const outside = await folderWith({});
  await symlink(outside, join(target, 'sub'));
  const { status, stderr } = await cli.run(['pull', 'through-link@1', target, '--json']);
  expect(status).toBe(1);
  expect(JSON.parse(stderr).code).toBe('PATH_REFUSED');
  await expect(stat(join(outside, 'm.txt'))).rejects.toThrow();
});

test('lists have the API’s names in JSON and say what to do when they are empty', async () => {
  const empty = await cli.run(['models', 'nothing-begins-like-this']);
  expect(empty.stdout).toContain('cairn push');
  await cli.json(['push', await folderWith({ 'm.txt': '1' }), 'listed', '--alias', 'champion']);
  expect(await cli.json(['models', 'listed'])).toMatchObject({
    items: [{ name: 'listed', workspace: 'default', createdAt: expect.any(String) }],
  });
  expect(await cli.json(['versions', 'listed'])).toMatchObject({
    items: [{ version: 1, approval: { state: 'PENDING' } }],
  });
  expect(await cli.json(['show', 'listed'])).toMatchObject({
    name: 'listed',
    aliases: [{ alias: 'champion', version: 1 }],
    latestVersion: { version: 1 },
  });
  expect((await cli.run(['versions', 'listed'])).stdout).toMatch(/VERSION +ALIASES[\s\S]*1 +champion +READY/);
});

test('an alias moves by compare-and-swap, and its history is kept', async () => {
  for (const content of ['1', '2'])
    await cli.json(['push', await folderWith({ 'm.txt': content }), 'aliased']);
  expect(await cli.json(['alias', 'aliased', 'live', '1', '--expect', 'none'])).toMatchObject({
    alias: 'live',
    version: 1,
  });
  const conflict = await cli.run(['alias', 'aliased', 'live', '2', '--expect', '2']);
  expect(conflict).toMatchObject({ status: 5, stderr: expect.stringContaining('ALIAS_CONFLICT') });
  await cli.json(['alias', 'aliased', 'live', '2', '--expect', '1', '--reason', 'better']);
  expect(await cli.json(['alias', 'aliased', 'live'])).toMatchObject({ version: 2 });
  const { items } = await cli.json(['alias', 'aliased', 'live', '--history']);
  expect(items).toMatchObject([
    { from: 1, to: 2, reason: 'better' },
    { from: null, to: 1 },
  ]);
  expect(await cli.json(['show', 'aliased@live'])).toMatchObject({
    version: 2,
    aliases: [{ alias: 'live' }],
  });
  await cli.json(['alias', 'aliased', 'live', '--delete']);
  expect((await cli.run(['alias', 'aliased', 'live'])).status).toBe(3);
});

test('exit codes tell usage, not found, denied and unreachable apart', async () => {
  expect((await cli.run(['--help'])).status).toBe(0);
  expect((await cli.run(['no-such-verb'])).status).toBe(2);
  expect((await cli.run(['push', 'only-one-argument'])).status).toBe(2);
  expect((await cli.run(['show', 'a/b/c'])).status).toBe(2);
  const missing = await cli.run(['show', 'not there', '--json']);
  expect(missing).toMatchObject({ status: 3, stdout: '' });
  expect(JSON.parse(missing.stderr)).toMatchObject({
    code: 'MODEL_NOT_FOUND',
    fix: expect.any(String),
    requestId: expect.any(String),
  });
  expect((await cli.run(['models'], { env: { CAIRN_TOKEN: 'cairn_wrong' } })).status).toBe(4);
  const away = await cli.run(['models'], { env: { CAIRN_URL: 'http://127.0.0.1:9' } });
  expect(away.status).toBe(6);
  expect(away.stderr).toContain('Is Cairn running? Start it with `npm start`');
  const source = await cli.run(['import', 'mlflow', '--from', 'http://127.0.0.1:9']);
  expect(source).toMatchObject({ status: 6, stderr: expect.stringContaining('Check --from') });
});

test('every verb explains itself with examples', async () => {
  const { stdout } = await cli.run(['--help']);
  const verbs = [...stdout.matchAll(/^ {2}([a-z]+) .*/gm)]
    .map(([, verb]) => verb ?? '')
    .filter((verb) => !['help', 'cairn'].includes(verb));
  expect(verbs).toEqual(
    expect.arrayContaining(
      'login push pull models versions show alias approve deploy status predict rollback logs audit doctor'.split(
        ' ',
      ),
    ),
  );
  for (const verb of verbs.filter((verb) => !['delete', 'token', 'workspace'].includes(verb))) {
    const help = await cli.run([verb, '--help']);
    expect(help.status).toBe(0);
    expect(help.stdout).toContain('Examples:');
  }
});

test('a login keeps the token to this user and to that server', async () => {
  const env = { CAIRN_URL: '', CAIRN_TOKEN: '' };
  const bad = await cli.run(['login', server.url], { stdin: 'cairn_wrong\n', env });
  expect(bad.status).toBe(4);
  const { status, stdout, stderr } = await cli.run(['login', server.url], { stdin: `${ADMIN_TOKEN}\n`, env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).not.toContain(ADMIN_TOKEN);
  const file = join(cli.home, 'config', 'cairn', 'config.json');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await cli.run(['models'], { env })).status).toBe(0);

  const other = await startServer();
  try {
    expect((await cli.run(['models', '--url', other.url], { env })).status).toBe(4);
    expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  } finally {
    await other.close();
  }
  expect((await cli.run(['logout'], { env })).status).toBe(0);
  expect((await cli.run(['models', '--url', server.url], { env })).status).toBe(4);
});

test('tokens are made, used and revoked; only the token itself is on stdout', async () => {
  const { stdout, stderr } = await cli.run([
    'token',
    'create',
    'ada',
    '--role',
    'viewer',
    '--models',
    'shown-*',
    '--expires',
    '1d',
  ]);
  expect(stdout).toMatch(/^cairn_[\w-]+\n$/);
  expect(stderr).toContain('viewer on default, names shown-*');
  const env = { CAIRN_TOKEN: stdout.trim() };
  expect((await cli.run(['show', 'other'], { env })).status).toBe(4);
  expect((await cli.run(['push', await folderWith({ 'm.txt': '' }), 'shown-a'], { env })).status).not.toBe(0);
  const { items } = await cli.json(['token', 'list']);
  const { id } = items.find(({ principal }: { principal: string }) => principal === 'ada');
  expect((await cli.run(['token', 'revoke', id])).status).toBe(2);
  await cli.json(['token', 'revoke', id, '--yes']);
  expect((await cli.run(['models'], { env })).status).toBe(4);
});

test('a version is approved by someone else than its author', async () => {
  await cli.json(['push', await folderWith({ 'm.txt': '' }), 'approved']);
  const own = await cli.run(['approve', 'approved@1', '--json']);
  expect(JSON.parse(own.stderr).code).toBe('SELF_APPROVAL');
  const { token } = await cli.json(['token', 'create', 'grace', '--role', 'approver']);
  const env = { CAIRN_TOKEN: token };
  expect(await cli.json(['approve', 'approved@1', '--comment', 'fine'], { env })).toMatchObject({
    approval: { state: 'APPROVED', by: 'grace', comment: 'fine' },
  });
  expect(await cli.json(['approve', 'approved@1', '--reject'], { env })).toMatchObject({
    approval: { state: 'REJECTED' },
  });
});

test('workspaces keep models apart, by option and by prefix', async () => {
  await cli.json(['workspace', 'create', 'team-a', '--description', 'first']);
  expect(await cli.json(['workspace', 'list'])).toMatchObject({
    items: expect.arrayContaining([expect.objectContaining({ name: 'team-a' })]),
  });
  const folder = await folderWith({ 'm.txt': '' });
  expect(await cli.json(['push', folder, 'team-a/apart'])).toMatchObject({ workspace: 'team-a', version: 1 });
  expect((await cli.run(['show', 'apart'])).status).toBe(3);
  expect(await cli.json(['show', 'apart', '--workspace', 'team-a'])).toMatchObject({ workspace: 'team-a' });
});

test('deleting asks, and a deleted version’s number is not used again', async () => {
  for (const content of ['1', '2'])
    await cli.json(['push', await folderWith({ 'm.txt': content }), 'doomed']);
  expect((await cli.run(['delete', 'version', 'doomed@2'])).status).toBe(2);
  await cli.json(['delete', 'version', 'doomed@2', '--yes', '--reason', 'wrong']);
  expect((await cli.run(['show', 'doomed@2'])).status).toBe(3);
  expect(await cli.json(['push', await folderWith({ 'm.txt': '3' }), 'doomed'])).toMatchObject({
    version: 3,
  });
  await cli.json(['delete', 'model', 'doomed', '--yes']);
  expect((await cli.run(['show', 'doomed'])).status).toBe(3);
});

test('what comes next can be typed as it stands, and is possible', async () => {
  const name = "Ada's model";
  const folder = await folderWith({ 'm.txt': '' });
  const kept = await cli.run(['push', folder, name]);
  expect(kept.stdout).toContain("Next: cairn show 'Ada'\\''s model@1'\n");
  expect((await cli.run(['show', name])).stdout).toContain("`cairn versions 'Ada'\\''s model'`");
  await writeFile(join(folder, 'MLmodel'), 'flavors: {}\n');
  expect((await cli.run(['push', folder, name])).stdout).toContain(
    "Next: cairn deploy 'Ada'\\''s model@2'\n",
  );
});

test('events are told as they happen, and from one that is known on', async () => {
  await cli.json(['push', await folderWith({ 'm.txt': '' }), 'eventful']);
  const [pushed] = (await cli.json(['audit', 'eventful', '--limit', '1'])).items;
  const child = cli.start(['events', '--limit', '1']);
  const told = once(child, 'exit');
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  // Nobody says when it listens: what happens is repeated until it has heard of it.
  for (let version = 0; child.exitCode === null; version++) {
    await cli.json(['alias', 'eventful', `a${version}`, '1']);
  }
  expect(await told).toEqual([0, null]);
  expect(text).toMatch(/alias\.moved {2}eventful@a\d+\n$/);
  const { items } = await cli.json(['events', '--after', pushed.id, '--limit', '1']);
  expect(items).toMatchObject([{ type: 'alias.moved', data: { subject: 'eventful@a0' } }]);
  expect(await cli.run(['events', '--json'])).toMatchObject({ status: 2, stdout: '' });
});

test('the audit trail tells who did what, and verifies', async () => {
  await cli.json(['push', await folderWith({ 'm.txt': '' }), 'audited']);
  const { items } = await cli.json(['audit', 'audited']);
  expect(items.map(({ action }: { action: string }) => action)).toEqual(['version.created', 'model.created']);
  expect(await cli.json(['audit', 'verify'])).toMatchObject({ ok: true, problems: [] });
  expect((await cli.run(['audit', '--limit', '3'])).stdout.trim().split('\n')).toHaveLength(4);
});

test('whoami says who one is; nobody signs in where no issuer is trusted', async () => {
  expect((await cli.run(['whoami'])).stdout).toBe('admin (admin on all workspaces)\n');
  const { status, stderr } = await cli.run(['login', '--oidc']);
  expect([status, stderr]).toEqual([3, expect.stringContaining('No OpenID Connect issuer is trusted here')]);
});

test('doctor checks the settings, the server and the token, and fails when one is wrong', async () => {
  const healthy = await cli.json(['doctor']);
  expect(healthy).toMatchObject({
    ok: true,
    checks: expect.arrayContaining([expect.objectContaining({ name: 'Token', ok: true })]),
  });
  const sick = await cli.run(['doctor', '--json'], { env: { CAIRN_TOKEN: 'cairn_wrong' } });
  expect(sick.status).toBe(1);
  expect(JSON.parse(sick.stdout)).toMatchObject({ ok: false });
  expect((await cli.run(['doctor'], { env: { CAIRN_URL: 'http://127.0.0.1:9' } })).stdout).toContain(
    '✗ Server',
  );
});

test('text of others cannot steer the terminal', async () => {
  const message = 'harmless\u001b[2J\u202ereversed';
  await cli.json(['push', await folderWith({ 'm.txt': '' }), 'steering', '-m', message]);
  const { stdout } = await cli.run(['versions', 'steering']);
  expect(stdout).not.toContain('\u001b[2J');
  expect(stdout).not.toContain('\u202e');
  expect((await cli.json(['show', 'steering@1'])).message).toBe(message);
});

test('an exported repository is a Git bundle with a tag for each version, and replaces no file unasked', async () => {
  await cli.json(['push', await folderWith({ 'a.txt': 'one' }), 'exported', '--create']);
  const target = join(cli.home, 'exported.bundle');
  const exported = await cli.json(['export', 'exported', target]);
  const bundle = await readFile(target, 'latin1');
  expect(exported).toEqual({ model: 'exported', file: target, size: bundle.length });
  expect(bundle).toMatch(
    /^# v2 git bundle\n[0-9a-f]{40} HEAD\n[0-9a-f]{40} refs\/heads\/main\n[0-9a-f]{40} refs\/tags\/v1\n\nPACK/,
  );
  expect((await cli.run(['export', 'exported', target])).stderr).toContain('FILE_EXISTS');
  expect((await cli.run(['export', 'nothing-there', join(cli.home, 'x')])).status).toBe(3);
});

test('a diff shows the metrics and parameters of the runs that two versions come from', async () => {
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any shape
  const mlflow = async (path: string, body: unknown): Promise<any> => {
    const answer = await fetch(`${server.url}/api/2.0/mlflow/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect([path, answer.status]).toEqual([path, 200]);
    return answer.json();
  };
  await mlflow('registered-models/create', { name: 'measured' });
  for (const [accuracy, rate] of [
    [0.91, '0.1'],
    [0.95, '0.01'],
  ] as const) {
    const { run } = await mlflow('runs/create', { experiment_id: '0', start_time: 1 });
    const { run_id } = run.info;
    await mlflow('runs/log-metric', { run_id, key: 'accuracy', value: accuracy, timestamp: 1 });
    await mlflow('runs/log-metric', { run_id, key: 'loss', value: 0.5, timestamp: 1 });
    await mlflow('runs/log-parameter', { run_id, key: 'rate', value: rate });
    await mlflow('model-versions/create', { name: 'measured', source: `runs:/${run_id}/model`, run_id });
  }
  const difference = await cli.json(['diff', 'measured@1', '2']);
  expect(difference.metrics).toEqual([{ name: 'accuracy', before: '0.91', after: '0.95' }]);
  expect(difference.parameters).toEqual([{ name: 'rate', before: '0.1', after: '0.01' }]);
  expect((await cli.run(['diff', 'measured@1', '2'])).stdout).toMatch(/metric accuracy +0\.91 +0\.95/);
});
