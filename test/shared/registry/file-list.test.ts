import { afterEach, beforeEach, expect, it } from 'vitest';
import { fileListItem, readFileList } from '../../../shared/registry/file-list.ts';
import { type LocalPorts, openLocalPorts } from '../../support/local-ports.ts';

const model = { id: 'm', workspace: 'default' };

let ports: LocalPorts;
beforeEach(async () => {
  ports = await openLocalPorts();
});
afterEach(() => ports.close());

const files = (folder: string) =>
  Array.from({ length: 1000 }, (_, n) => ({
    path: `${folder}/${n}`,
    size: n,
    sha256: 'a'.repeat(64),
    oid: 'b'.repeat(40),
    mode: '100644' as const,
  }));

it('a long list stays as it is when another process stores one for the same number and does not get it', async () => {
  const winner = await fileListItem(ports.blobs, model, 'v1', files('winner'));
  await fileListItem(ports.blobs, model, 'v1', files('loser'));
  await ports.table.transact([{ put: winner, if: 'absent' }]);
  expect(await readFileList(ports, model.id, 'v1')).toEqual(files('winner'));
});
