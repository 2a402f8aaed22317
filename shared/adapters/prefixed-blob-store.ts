import type { BlobStore } from '../ports/blob-store.ts';

/** The part of a store below a prefix: `` or one that ends with `/`. */
export function prefixedBlobStore(store: BlobStore, prefix: string): BlobStore {
  if (prefix === '') return store;
  const at = (key: string) => prefix + key;
  return {
    put: (key, ...rest) => store.put(at(key), ...rest),
    get: (key, ...rest) => store.get(at(key), ...rest),
    stat: (key) => store.stat(at(key)),
    copy: (from, to, ...rest) => store.copy(at(from), at(to), ...rest),
    delete: (key) => store.delete(at(key)),
    async list(below, { after, ...rest } = {}) {
      const start = after === undefined || after === '' ? {} : { after: at(after) };
      const { objects, more } = await store.list(at(below), { ...rest, ...start });
      return {
        objects: objects.map(({ key, ...object }) => ({ ...object, key: key.slice(prefix.length) })),
        more,
      };
    },
    createMultipart: (key, ...rest) => store.createMultipart(at(key), ...rest),
    listParts: (key, ...rest) => store.listParts(at(key), ...rest),
    completeMultipart: (key, ...rest) => store.completeMultipart(at(key), ...rest),
    abortMultipart: (key, ...rest) => store.abortMultipart(at(key), ...rest),
    presignGet: (key, ...rest) => store.presignGet(at(key), ...rest),
    presignPut: (key, ...rest) => store.presignPut(at(key), ...rest),
    presignPart: (key, ...rest) => store.presignPart(at(key), ...rest),
  };
}
