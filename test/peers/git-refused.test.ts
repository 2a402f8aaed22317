import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GitWorld, openGitWorld } from './git.ts';

/** What git and git-lfs themselves show a person who is refused. */

const API = '/api/v1/workspaces/default/models';

let world: GitWorld;
/** A token for nothing but reading the model `there`. */
let viewer: string;
beforeAll(async () => {
  world = await openGitWorld();
  await world.git('.', 'lfs', 'install', '--skip-repo');
  for (const name of ['there', 'hidden', 'deleted']) await world.server.api('POST', API, { name });
  await world.server.api('DELETE', `${API}/deleted`);
  viewer = await tokenFor('vera', 'viewer', 'there');
  await world.git('.', 'clone', '-q', world.url('there'), 'clone');
  await world.git('clone', 'lfs', 'track', '*.bin');
  await writeFile(join(world.dir, 'clone/weights.bin'), randomBytes(5000));
  await world.git('clone', 'add', '-A');
  await world.git('clone', 'commit', '-q', '-m', 'one');
  await world.git('clone', 'push', '-q', 'origin', 'HEAD:main');
  await world.tryGit('.', ['clone', '-q', world.url('there'), 'pointers'], { GIT_LFS_SKIP_SMUDGE: '1' });
});
afterAll(() => world.close());

async function tokenFor(principal: string, role: string, models: string): Promise<string> {
  const grants = [{ role, workspace: 'default', models }];
  return (await world.server.api('POST', '/api/v1/tokens', { principal, grants })).body.token;
}

/** What git says; it has to fail. */
async function refusal(where: string, ...args: string[]): Promise<string> {
  const { status, stderr, stdout } = await world.tryGit(where, args);
  expect(status).not.toBe(0);
  return stderr + stdout;
}

/** Every way to ask for refs, and git-lfs' two, of a repository at that address. */
async function refusals(url: string): Promise<string[]> {
  const answers: string[] = [];
  for (const version of [0, 2]) {
    const protocol = ['-c', `protocol.version=${version}`];
    answers.push(
      await refusal('.', ...protocol, 'ls-remote', url),
      await refusal('.', ...protocol, 'clone', url, 'refused'),
      await refusal('clone', ...protocol, 'fetch', url),
      await refusal('clone', ...protocol, 'push', '--no-verify', url, 'HEAD:main'),
    );
  }
  for (const [where, ...args] of [
    ['pointers', 'fetch'],
    ['clone', 'push', '--all'],
  ] as const) {
    await world.git(where, 'remote', 'add', 'refusing', url);
    answers.push(await refusal(where, 'lfs', ...args, 'refusing'));
    await world.git(where, 'remote', 'remove', 'refusing');
  }
  return answers;
}

describe('git’s user reads a sentence about', () => {
  test('a model that was never there', async () => {
    for (const said of await refusals(world.url('nothing'))) {
      expect(said).toContain('There is no model "nothing" in workspace "default".');
      expect(said).toContain('`cairn models` lists the models');
    }
  });

  test('a model that was deleted', async () => {
    for (const said of await refusals(world.url('deleted')))
      expect(said).toMatch(
        /There is no model "deleted" in workspace "default" any more: it was deleted at 2/,
      );
  });

  test('an address that is no repository’s', async () => {
    const url = world.url('there').replace('/default/', '/');
    for (const said of await refusals(url)) {
      expect(said).toContain('There is no repository at /there.git.');
      expect(said).toContain('/<workspace>/<model>.git');
    }
  });

  test('a token that is not known', async () => {
    for (const said of await refusals(world.url('there', 'wrong'))) {
      expect(said).toContain('The token is not known.');
      expect(said).toContain('cairn credential');
    }
  });

  test('a role that is missing, which is the same for models that are there, were, or never', async () => {
    const ofGit: string[][] = [];
    for (const name of ['hidden', 'deleted', 'nothing']) {
      const answers = await refusals(world.url(name, viewer));
      for (const [index, answer] of answers.entries()) {
        const role = [3, 7, 9].includes(index) ? 'contributor' : 'viewer';
        expect(answer).toContain(`vera needs the role "${role}" on "${name}" in workspace "default".`);
        expect(answer).toContain('Ask an admin of the workspace for it.');
        expect(answer).not.toMatch(/no model|deleted at/);
      }
      // git-lfs adds how far it came, which differs from time to time.
      ofGit.push(answers.slice(0, 8).map((answer) => answer.replaceAll(name, '<model>')));
    }
    expect(ofGit[1]).toEqual(ofGit[0]);
    expect(ofGit[2]).toEqual(ofGit[0]);
  });

  test('a push that the role does not reach', async () => {
    const said = await refusal('clone', 'push', '--no-verify', world.url('there', viewer), 'HEAD:other');
    expect(said).toContain('remote: vera needs the role "contributor" on "there"');
  });
});

describe('after the refs were told, git’s user reads', () => {
  test.each([0, 2])(
    'what is wrong with what was asked for, in version %i of the protocol',
    async (version) => {
      const protocol = ['-c', `protocol.version=${version}`];
      const unknown = '1'.repeat(40);
      expect(await refusal('clone', ...protocol, 'fetch', 'origin', unknown)).toContain(
        `fatal: remote error: upload-pack: not our ref ${unknown}`,
      );
      expect(
        await refusal('.', ...protocol, 'clone', '--shallow-exclude=lost', world.url('there'), 'refused'),
      ).toContain('deepen-not names no ref: lost');
    },
  );

  test.each([0, 2])('that the model was deleted meanwhile, in version %i', async (version) => {
    const name = `passing-${version}`;
    await world.server.api('POST', API, { name });
    await world.git('clone', 'push', '-q', world.url(name), 'HEAD:main');
    const door = await doorThat(async () => void (await world.server.api('DELETE', `${API}/${name}`)));
    const said = await refusal('.', '-c', `protocol.version=${version}`, 'clone', door.url(name), 'refused');
    expect(said).toMatch(new RegExp(`fatal: remote error: There is no model "${name}" .* was deleted at`));
    await door.close();
  });

  test('why nothing of a push was taken', async () => {
    await world.server.api('POST', API, { name: 'pushed' });
    const door = await doorThat(async () => void (await world.server.api('DELETE', `${API}/pushed`)));
    const said = await refusal('clone', 'push', '--no-verify', door.url('pushed'), 'HEAD:main');
    expect(said).toMatch(/error: remote unpack failed: There is no model "pushed" .* was deleted at/);
    expect(said).toContain('! [remote rejected] HEAD -> main (unpacker error)');
    await door.close();
  });
});

/** A way to the server where something happens before the first request that sends anything. */
async function doorThat(first: () => Promise<void>) {
  let posts = 0;
  const { hostname, port } = new URL(world.server.url);
  const proxy = createServer(async (asked, answer) => {
    if (asked.method === 'POST' && posts++ === 0) await first();
    const { method, url: path, headers } = asked;
    const passed = request({ hostname, port, method, path, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
    });
    asked.pipe(passed);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const at = (proxy.address() as AddressInfo).port;
  return {
    url: (model: string, token?: string) => world.url(model, token).replace(/:\d+\//, `:${at}/`),
    close: () => proxy.close(),
  };
}
