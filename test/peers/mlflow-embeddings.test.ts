import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { startServer, TOKEN } from '../support/server.ts';
import { DEBIAN_PYTHON, EMBEDDING_BARE, EMBEDDING_REQUIREMENTS } from './mlflow-requirements.ts';
import { pythonEnv, runPython } from './python.ts';

test('a sentence-transformers model that a package ships, and a transformers pipeline, answer the same by version and alias', async () => {
  process.env.MLFLOW_TRACKING_TOKEN = TOKEN;
  const folder = await mkdtemp(join(tmpdir(), 'cairn-embeddings-'));
  const python = await pythonEnv('embeddings', EMBEDDING_REQUIREMENTS, {
    over: DEBIAN_PYTHON,
    bare: EMBEDDING_BARE,
  });
  const server = await startServer(join(folder, 'data'));
  try {
    const said = await runPython(python, 'mlflow_embeddings.py', [server.url, join(folder, 'copy')]);
    expect(said).toContain('checked');
    expect(said).toContain('classified');
    const version = await server.api('GET', '/api/v1/workspaces/default/models/embedder/versions/1');
    expect(version.body).toMatchObject({ status: 'READY' });
    const files = await server.api('GET', '/api/v1/workspaces/default/models/embedder/versions/1/files');
    expect(files.body.items.some(({ size }: { size: number }) => size > 30_000_000)).toBe(true);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}, 600_000);
