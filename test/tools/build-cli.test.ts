import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { buildCli } from '../../tools/build-cli.ts';

test('the command is one executable file that needs nothing beside it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cairn-cli-'));
  try {
    const modules = join(directory, 'node_modules');
    symlinkSync(resolve(import.meta.dirname, '../../node_modules'), modules);
    const entry = join(directory, 'main.ts');
    writeFileSync(
      entry,
      "import { Command } from 'commander';\n" +
        "new Command('cairn').argument('<word>').action((word: string) => console.log(word)).parse();\n",
    );
    const outfile = join(directory, 'cairn.js');
    await buildCli(entry, outfile);
    for (const gone of [modules, entry]) rmSync(gone);

    const run = spawnSync(outfile, ['hello'], { cwd: directory, encoding: 'utf8' });
    expect(run).toMatchObject({ stdout: 'hello\n', stderr: '', status: 0 });
    expect(readFileSync(outfile, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
