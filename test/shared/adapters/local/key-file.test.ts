import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openKeyFile } from '../../../../shared/adapters/local/key-file.ts';

describe('the key file', () => {
  let dir: string;
  let path: string;
  const message = Buffer.from('message');
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-keys-'));
    path = join(dir, 'keys.json');
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('is made on first use, for its owner only', async () => {
    await openKeyFile(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(JSON.parse(await readFile(path, 'utf8')).format).toBe(1);
    expect(await readdir(dir)).toEqual(['keys.json']);
  });

  it('gives the same keys again after a restart', async () => {
    const before = await openKeyFile(path);
    const { keyId, signature } = await before.sign(message);
    const { plain, wrapped } = await before.generateDataKey();
    const after = await openKeyFile(path);
    expect(await after.verify(keyId, message, signature)).toBe(true);
    expect(await after.unwrapDataKey(wrapped)).toEqual(plain);
    expect(after.hmacKey('storage')).toEqual(before.hmacKey('storage'));
  });

  it('verifies only its own signature of that message', async () => {
    const keys = await openKeyFile(path);
    const { keyId, signature } = await keys.sign(message);
    expect(await keys.verify(keyId, Buffer.from('other'), signature)).toBe(false);
    expect(await keys.verify('local/other', message, signature)).toBe(false);
    expect(await keys.verify(keyId, message, signature.subarray(1))).toBe(false);
    const other = await openKeyFile(join(dir, 'other.json'));
    expect(await other.verify(keyId, message, signature)).toBe(false);
  });

  it('unwraps only what it wrapped, unchanged', async () => {
    const keys = await openKeyFile(path);
    const { plain, wrapped } = await keys.generateDataKey();
    expect(plain).toHaveLength(32);
    expect((await keys.generateDataKey()).plain).not.toEqual(plain);
    for (let at = 0; at < wrapped.length; at += 7) {
      const changed = Uint8Array.from(wrapped);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await expect(keys.unwrapDataKey(changed)).rejects.toThrow();
    }
    await expect(keys.unwrapDataKey(wrapped.subarray(0, 10))).rejects.toThrow();
  });

  it('derives another key for each purpose', async () => {
    const keys = await openKeyFile(path);
    expect(keys.hmacKey('storage')).toHaveLength(32);
    expect(keys.hmacKey('cursor')).not.toEqual(keys.hmacKey('storage'));
  });

  it('of a newer Cairn is refused, saying so', async () => {
    await writeFile(path, JSON.stringify({ format: 2 }));
    await expect(openKeyFile(path)).rejects.toThrow(/has format 2.*run a newer Cairn/);
  });

  it('that is damaged is refused and not replaced', async () => {
    await writeFile(path, '{"format":');
    await expect(openKeyFile(path)).rejects.toThrow(path);
    expect(await readFile(path, 'utf8')).toBe('{"format":');
  });
});
