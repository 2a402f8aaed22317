import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import type { BenchServer } from './context.ts';

/** Sends a file as the only one of a model's next version, part after part. @returns the version's number */
export async function upload(
  server: BenchServer,
  model: string,
  file: { readonly local: string; readonly path: string; readonly sha256: string },
): Promise<number> {
  const uploads = `/workspaces/default/models/${model}/uploads`;
  const { local, path, sha256 } = file;
  const { size } = await stat(local);
  const made = await server.api<{ id: string }>('POST', uploads, { files: [{ path, size, sha256 }] });
  const parts = await server.api<{ items: { size: number; url: string }[] }>(
    'POST',
    `${uploads}/${made.id}/parts`,
    { path },
  );
  let start = 0;
  for (const part of parts.items) {
    await put(part.url, local, start, part.size);
    start += part.size;
  }
  return (await server.api<{ version: number }>('POST', `${uploads}/${made.id}/complete`)).version;
}

function put(url: string, local: string, start: number, size: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: 'PUT', headers: { 'content-length': size } }, (answer) => {
      answer.resume();
      answer.once('end', () =>
        answer.statusCode === 200 ? resolve() : reject(new Error(`PUT: ${answer.statusCode}`)),
      );
    });
    outgoing.once('error', reject);
    createReadStream(local, { start, end: start + size - 1, highWaterMark: 1024 * 1024 }).pipe(outgoing);
  });
}
