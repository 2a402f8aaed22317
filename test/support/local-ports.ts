import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Caller } from '../../shared/access/caller.ts';
import type { Role } from '../../shared/access/role.ts';
import { openFilesystemBlobStore } from '../../shared/adapters/local/filesystem-blob-store.ts';
import { openInProcessBus } from '../../shared/adapters/local/in-process-bus.ts';
import { openKeyFile } from '../../shared/adapters/local/key-file.ts';
import { openSqliteTable } from '../../shared/adapters/local/sqlite-table.ts';
import { storageDoor } from '../../shared/adapters/local/storage-door.ts';
import type { DomainEvent } from '../../shared/ports/event-bus.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { ensureDefaultWorkspace } from '../../shared/registry/workspace.ts';

export interface LocalPorts extends Ports {
  /** Moves the clock, which stands still otherwise. */
  readonly clock: Ports['clock'] & { advance(ms: number): void };
  readonly dir: string;
  readonly events: DomainEvent[];
  close(): Promise<void>;
}

/**
 * The real local adapters in a temporary folder, signed URLs included, with a clock that the test moves.
 * @param address this machine's, as those who use signed URLs see it
 */
export async function openLocalPorts(address = '127.0.0.1'): Promise<LocalPorts> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-'));
  let now = Date.UTC(2026, 0, 1);
  const clock = {
    now: () => now,
    advance(ms: number) {
      now += ms;
    },
  };
  const keys = await openKeyFile(join(dir, 'keys.json'));
  const table = await openSqliteTable(join(dir, 'cairn.db'));
  const server = createServer();
  await new Promise<void>((resolve) =>
    server.listen(0, address === '127.0.0.1' ? address : '0.0.0.0', resolve),
  );
  const blobs = await openFilesystemBlobStore({
    root: join(dir, 'blobs'),
    baseUrl: () => `http://${address}:${(server.address() as AddressInfo).port}`,
    signingKey: keys.hmacKey('storage'),
    clock,
  });
  const door = storageDoor(blobs);
  server.on('request', (req, res) => void door(req, res));
  const events: DomainEvent[] = [];
  const bus = openInProcessBus((error) => {
    throw error;
  });
  bus.subscribe((event) => events.push(event));
  const ports = { table, blobs, clock, keys, bus };
  await ensureDefaultWorkspace(ports);
  return {
    ...ports,
    dir,
    events,
    async close() {
      server.closeAllConnections();
      server.close();
      await table.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Someone with a role on everything, or on what the grant says. */
export function someone(
  principal: string,
  role: Role,
  where: { workspace?: string; models?: string } = {},
): Caller {
  return {
    principal,
    tokenId: `token-of-${principal}`,
    grants: [{ role, workspace: where.workspace ?? '*', models: where.models ?? '*' }],
    requestId: 'request-1',
  };
}
