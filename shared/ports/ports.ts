import type { BlobStore } from './blob-store.ts';
import type { Clock } from './clock.ts';
import type { EventBus } from './event-bus.ts';
import type { KeyService } from './key-service.ts';
import type { Table } from './table.ts';

/** What the registry, storage, access and audit domains stand on. A function asks for the part it uses. */
export interface Ports {
  readonly table: Table;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly keys: KeyService;
  readonly bus: EventBus;
}
