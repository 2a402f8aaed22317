import type { BenchServer } from './context.ts';
import { command } from './context.ts';

/** A file in pieces, each in a file of its own, as many as the server will ask for parts. */
export interface CutFile {
  readonly size: number;
  readonly sha256: string;
  readonly pieces: readonly string[];
}

/** Sends a file as the only one of a model's next version, part after part on one connection. */
export async function upload(server: BenchServer, model: string, path: string, file: CutFile): Promise<void> {
  const uploads = `/workspaces/default/models/${model}/uploads`;
  const { size, sha256, pieces } = file;
  const made = await server.api<{ id: string }>('POST', uploads, { files: [{ path, size, sha256 }] });
  const own = `${uploads}/${made.id}`;
  const { items } = await server.api<{ items: { url: string }[] }>('POST', `${own}/parts`, { path });
  const transfers = items.flatMap(({ url }, n) => ['--upload-file', pieces[n] ?? '', url]);
  command('curl', 'curl', ['--fail', '--silent', '--show-error', '--header', 'Expect:', ...transfers]);
  await server.api('POST', `${own}/complete`);
}
