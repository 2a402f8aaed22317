/**
 * Gives a chunk's memory back at once; the chunk is empty from then on. V8 counts memory outside its heap and marks the
 * whole heap after each 64 MB of it: some 20 times for each GiB received, which takes as long as its SHA-256.
 * A chunk that shares its memory with others keeps it.
 */
export function freeChunk({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
