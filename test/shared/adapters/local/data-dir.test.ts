import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataDir } from '../../../../shared/adapters/local/data-dir.ts';

describe('the data directory', () => {
  let parent: string;
  let path: string;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'cairn-data-'));
    path = join(parent, 'deep', 'data');
  });
  afterEach(() => rm(parent, { recursive: true }));

  it('is made on first use, for its owner only, with its format', async () => {
    const data = await openDataDir(path);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect(JSON.parse(await readFile(join(path, 'format.json'), 'utf8'))).toEqual({ format: 1 });
    expect(data.table.startsWith(path)).toBe(true);
    data.release();
  });

  it('belongs to one server at a time', async () => {
    const first = await openDataDir(path);
    await expect(openDataDir(path)).rejects.toThrow(`in use by another server (process ${process.pid})`);
    first.release();
    first.release();
    (await openDataDir(path)).release();
  });

  it('is free again when the server that had it was killed', async () => {
    const script = `
      import { openDataDir } from ${JSON.stringify(new URL('../../../../shared/adapters/local/data-dir.ts', import.meta.url).href)};
      await openDataDir(process.argv[1]);
      process.stdout.write('open');
      setInterval(() => undefined, 1000);`;
    const args = ['--input-type=module', '--eval', script, path];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    await expect(openDataDir(path)).rejects.toThrow(`in use by another server (process ${child.pid})`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    (await openDataDir(path)).release();
  });

  it('that is damaged is refused with the name of the file', async () => {
    (await openDataDir(path)).release();
    for (const text of ['', '{"form', 'null', '{"format":"x"}']) {
      await writeFile(join(path, 'format.json'), text);
      await expect(openDataDir(path)).rejects.toThrow(join(path, 'format.json'));
    }
  });

  it('that cannot be locked is not said to be in use', async () => {
    (await openDataDir(path)).release();
    await writeFile(join(path, 'lock'), 'this is no lock, and never was one');
    await expect(openDataDir(path)).rejects.toThrow('cannot be locked');
  });

  it('of a newer Cairn is refused, saying so, and not kept locked', async () => {
    (await openDataDir(path)).release();
    await writeFile(join(path, 'format.json'), '{"format":2}');
    await expect(openDataDir(path)).rejects.toThrow(/has format 2.*up to 1: run a newer Cairn/);
    await writeFile(join(path, 'format.json'), '{"format":1}');
    (await openDataDir(path)).release();
  });
});
