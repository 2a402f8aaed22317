import { afterAll, beforeAll, expect, test } from 'vitest';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { ensureDefaultWorkspace } from '../../shared/registry/workspace.ts';
import { GRACE_MS } from '../../shared/storage/garbage.ts';
import { type ArtifactOwner, artifactsBelow, putArtifact } from '../../shared/tracking/artifact.ts';
import { completeArtifactUpload, createArtifactUpload } from '../../shared/tracking/artifact-upload.ts';
import { createExperiment, updateExperiment } from '../../shared/tracking/experiment.ts';
import { logBatch } from '../../shared/tracking/log-batch.ts';
import { purge } from '../../shared/tracking/purge.ts';
import { reclaimArtifacts } from '../../shared/tracking/reclaim-artifacts.ts';
import { createRun } from '../../shared/tracking/run.ts';
import { type LocalPorts, openLocalPorts, someone } from '../support/local-ports.ts';
import { startDynamoTable } from './aws-dynamodb-local.ts';
import { startVersitygw, type Versitygw } from './aws-versitygw.ts';

/** The collector of artifacts, and purging, on DynamoDB and S3. */

const ada = someone('ada', 'admin');
const BYTES = Buffer.from('bytes');

let local: LocalPorts;
let database: Awaited<ReturnType<typeof startDynamoTable>>;
let server: Versitygw;
let ports: Ports;
beforeAll(async () => {
  [local, database, server] = await Promise.all([openLocalPorts(), startDynamoTable(), startVersitygw()]);
  ports = { ...local, table: database.table, blobs: openS3BlobStore(server) };
  local.clock.advance(Date.now() - local.clock.now());
  await ensureDefaultWorkspace(ports);
}, 120_000);
afterAll(() => Promise.all([local?.close(), database?.close(), server?.close()]));

const stored = async () => (await ports.blobs.list('workspaces/')).objects.map(({ key }) => key).sort();

test('bytes that nothing recorded go, what is recorded or arriving stays, and a purge leaves nothing', async () => {
  const workspace = 'default';
  const { id: experiment } = await createExperiment(ports, ada, { workspace, name: 'old', tags: {} });
  const { run } = await createRun(ports, ada, { workspace, experiment, user: '', startTime: 1, tags: {} });
  const owner: ArtifactOwner = { kind: 'run', id: run.id, workspace };
  await putArtifact(ports, ada, owner, 'kept.bin', BYTES);
  await putArtifact(ports, ada, owner, 'replaced.bin', BYTES);
  await putArtifact(ports, ada, owner, 'replaced.bin', Buffer.from('new'));
  const { table } = ports;
  const killed = { ...ports, table: { ...table, transact: () => Promise.reject(new Error('killed')) } };
  await expect(putArtifact(killed, ada, owner, 'lost.bin', BYTES)).rejects.toThrow('killed');
  const { id, urls } = await createArtifactUpload(ports, ada, owner, 'parts.bin', 1);
  await fetch(urls[0] ?? '', { method: 'PUT', body: BYTES });
  await expect(completeArtifactUpload(killed, ada, id)).rejects.toThrow('killed');
  expect(await stored()).toHaveLength(4);

  expect(await reclaimArtifacts(ports, workspace)).toMatchObject({ objects: 0 });
  local.clock.advance(GRACE_MS + 3600_000);
  expect(await reclaimArtifacts(ports, workspace)).toEqual({ objects: 1, bytes: 5, more: false });
  await completeArtifactUpload(ports, ada, id);
  const recorded = await artifactsBelow(table, owner, '');
  expect(recorded.map(({ path }) => path)).toEqual(['kept.bin', 'parts.bin', 'replaced.bin']);
  expect(await stored()).toEqual(recorded.map(({ key }) => key).sort());

  const metrics = Array.from({ length: 300 }, (_, step) => ({
    key: `m${step}`,
    value: 1,
    timestamp: 1,
    step,
  }));
  await logBatch(ports, ada, run.id, { metrics });
  await updateExperiment(ports, ada, workspace, experiment, { lifecycle: 'deleted' });
  const target = { workspace, kind: 'experiment', id: experiment } as const;
  const figures = { runs: 1, loggedModels: 0, files: 3, bytes: 13, complete: true };
  expect(await purge(ports, ada, target, { dryRun: true })).toMatchObject(figures);
  expect(await purge(ports, ada, target)).toMatchObject(figures);
  expect(await stored()).toEqual([]);
  for (const pk of [
    `run/${run.id}`,
    `metrics/${run.id}`,
    `artifacts/${run.id}`,
    `artifacts-given-up/${run.id}`,
  ])
    expect((await table.query({ pk, limit: 1 })).items, pk).toEqual([]);
}, 120_000);
