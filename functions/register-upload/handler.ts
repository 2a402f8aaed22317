import { systemCaller } from '../../shared/access/caller.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { type ArrivedFile, registerArrival } from '../../shared/registry/register-arrival.ts';
import type { StoredVersion } from '../../shared/registry/version.ts';

/** A complete file or folder in the incoming area. */
export interface IncomingArrival {
  /** Names this arrival and no other; a repeat of it registers nothing again. */
  readonly id: string;
  readonly workspace: string;
  readonly model: string;
  /** The file's or folder's name: what the version's message tells. */
  readonly name: string;
  readonly files: readonly ArrivedFile[];
}

/** Registers an arrival as the model's next version, exactly once. */
export async function registerUpload(ports: Ports, arrival: IncomingArrival): Promise<StoredVersion> {
  return registerArrival(ports, systemCaller('register-upload', arrival.id), {
    id: arrival.id,
    workspace: arrival.workspace,
    name: arrival.model,
    files: arrival.files,
    message: `${arrival.name} from the incoming folder`,
  });
}
