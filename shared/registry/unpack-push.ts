import { uuidv7 } from 'uuidv7';
import type { Ports } from '../ports/ports.ts';
import { checkModules, checkObject } from './git/fsck.ts';
import { indexPack } from './git/index-pack.ts';
import { malformed } from './git/malformed.ts';
import type { GitObject } from './git/object.ts';
import { type ObjectDatabase, objectDatabase } from './git/object-database.ts';
import type { Pack } from './git/pack.ts';
import { turns } from './git/turns.ts';
import type { StoredModel } from './model.ts';
import type { Push } from './push.ts';
import type { Repository } from './repository.ts';
import { keptAs, openSources } from './repository-objects.ts';

/** The objects of a push, read and checked. */
export interface Received {
  readonly pack: Pack | undefined;
  /** What everything in the pack can be reached from, if it leads nowhere else. */
  readonly tips?: readonly string[] | undefined;
  readonly database: ObjectDatabase;
}

/** Reads and checks the objects of a push. @throws CairnError `INVALID_ARGUMENT` naming what is wrong */
export async function unpackPush(
  ports: Ports,
  model: StoredModel,
  root: Repository,
  { pack: bytes, limits }: Push,
): Promise<Received> {
  const sources = await openSources(ports, model, root);
  const present = objectDatabase(keptAs(model), sources);
  if (!bytes) return { pack: undefined, database: present };
  const types = new Map<string, string>();
  const needed = new Map<string, string | undefined>();
  const modules = new Set<string>();
  const pack = await indexPack(
    bytes,
    present.read,
    (object) => {
      types.set(object.oid, object.type);
      const collision = present.has(object.oid) ? requireSame(present, object) : undefined;
      for (const { oid, type, modules: isModules } of checkObject(object)) {
        if (isModules) modules.add(oid);
        const other = needed.get(oid);
        if (type !== undefined && other !== undefined && other !== type)
          throw malformed(`${oid} is named as ${other} and as ${type}.`);
        if (other === undefined) needed.set(oid, type);
      }
      return collision;
    },
    limits,
  );
  // All that is in the repository is whole, so what the new objects name makes them whole.
  const turn = turns();
  for (const [oid, type] of needed) {
    await turn();
    const found = types.get(oid) ?? (await present.typeOf(oid));
    if (found === undefined)
      throw malformed(
        `The ${type ?? 'object'} ${oid} is missing. From a shallow clone: git fetch --unshallow, then push again.`,
      );
    if (type !== undefined && found !== type) throw malformed(`${oid} is a ${found}, not a ${type}.`);
  }
  const places = new Map(pack.objects.map((object) => [object.oid, object]));
  const own = {
    has: (oid: string) => places.has(oid),
    entry: (oid: string) => {
      const place = places.get(oid);
      return place && pack.bytes.subarray(place.offset, place.offset + place.length);
    },
  };
  // What is only pushed may be refused, and is nobody else's until then.
  const name = uuidv7();
  const database = objectDatabase(
    (oid) => (present.has(oid) ? keptAs(model)(oid) : name + oid),
    [...sources, own],
  );
  for (const oid of modules) checkModules(oid, (await database.read(oid))?.content ?? new Uint8Array());
  return { pack: pack.objects.length > 0 ? pack : undefined, tips: tipsOf(types, needed), database };
}

/** SHA-1 collides: what is stored under an id stays, and other bytes of the same id are refused, as Git does. */
async function requireSame(present: ObjectDatabase, object: GitObject): Promise<void> {
  const stored = await present.read(object.oid);
  if (stored && stored.type === object.type && Buffer.compare(stored.content, object.content) === 0) return;
  throw malformed(`Another object has the id ${object.oid}: SHA-1 collision.`);
}

const TIPS_MAX = 100;

/** The commits and tags that nothing names, if they lead to all objects of the pack and to no others. */
function tipsOf(
  types: ReadonlyMap<string, string>,
  needed: ReadonlyMap<string, string | undefined>,
): readonly string[] | undefined {
  for (const oid of needed.keys()) if (!types.has(oid)) return undefined;
  const tips: string[] = [];
  for (const [oid, type] of types) {
    if (needed.has(oid)) continue;
    if (type === 'tree' || type === 'blob' || tips.length === TIPS_MAX) return undefined;
    tips.push(oid);
  }
  return tips;
}
