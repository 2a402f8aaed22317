import type { Caller } from '../access/caller.ts';
import { allows } from '../access/grant.ts';
import type { Ports } from '../ports/ports.ts';
import { isAncestor } from './git/commit-walk.ts';
import { ZERO_OID } from './git/object.ts';
import type { ObjectDatabase } from './git/object-database.ts';
import { isRefName } from './git/ref-name.ts';
import { turns } from './git/turns.ts';
import type { ModelRef } from './model.ts';
import type { Push, PushReport, RefCommand } from './push.ts';
import { MAIN, type Ref, readRefs } from './refs.ts';
import type { Repository } from './repository.ts';

export interface Judgement {
  readonly results: PushReport['results'];
  readonly accepted: readonly RefCommand[];
}

/** Which refs may move, with the reason for those that may not. */
export async function judgePush(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  root: Repository,
  push: Push,
  database: ObjectDatabase,
): Promise<Judgement> {
  const refs = new Map(await readRefs(ports, root));
  if (root.main) refs.set(MAIN, { name: MAIN, oid: root.main.commit });
  const names = refNames(refs.keys());
  const mayRewrite = allows(caller, 'deployer', ref);
  const problems = new Map<string, string | undefined>();
  const turn = turns();
  // Deletions first: what they free may be taken in the same push.
  for (const command of push.commands.toSorted((a, b) => Number(isDeletion(b)) - Number(isDeletion(a)))) {
    await turn();
    const { name } = command;
    const problem = problems.has(name)
      ? 'it stands twice in this push'
      : await problemOf(command, refs.get(name), names, mayRewrite, database);
    problems.set(name, problem);
    if (problem === undefined) isDeletion(command) ? names.delete(name) : names.add(name);
  }
  const accepted = push.commands.filter(({ name }) => problems.get(name) === undefined);
  const results = push.commands.map(({ name }) => {
    const problem = problems.get(name);
    return problem === undefined ? { name } : { name, problem };
  });
  if (!push.atomic || accepted.length === push.commands.length) return { results, accepted };
  return {
    results: results.map(({ name, problem }) => ({ name, problem: problem ?? ATOMIC })),
    accepted: [],
  };
}

const isDeletion = (command: RefCommand) => command.new === ZERO_OID;

/** Names of refs, and the folders that they make: Git keeps refs as files. */
function refNames(initial: Iterable<string>) {
  const names = new Set<string>();
  const folders = new Map<string, number>();
  const foldersOf = (name: string) => [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index));
  const count = (name: string, by: number) => {
    for (const folder of foldersOf(name)) folders.set(folder, (folders.get(folder) ?? 0) + by);
  };
  const add = (name: string) => {
    if (names.has(name)) return;
    names.add(name);
    count(name, 1);
  };
  for (const name of initial) add(name);
  return {
    add,
    delete(name: string) {
      if (names.delete(name)) count(name, -1);
    },
    /** What the name cannot stand beside: a file of a folder's name, or a folder of a file's. */
    clash(name: string): string | undefined {
      if ((folders.get(name) ?? 0) > 0) return `${name}/…`;
      return foldersOf(name).find((folder) => names.has(folder));
    },
  };
}

const ATOMIC = 'atomic push: another ref was refused';

/** The judgement with one more ref refused; all of it goes where the push is atomic. */
export function refuseRef(judgement: Judgement, name: string, problem: string, atomic: boolean): Judgement {
  return {
    results: judgement.results.map((result) =>
      result.name === name
        ? { name, problem }
        : atomic
          ? { ...result, problem: result.problem ?? ATOMIC }
          : result,
    ),
    accepted: atomic ? [] : judgement.accepted.filter((command) => command.name !== name),
  };
}

async function problemOf(
  command: RefCommand,
  current: Ref | undefined,
  names: ReturnType<typeof refNames>,
  mayRewrite: boolean,
  database: ObjectDatabase,
): Promise<string | undefined> {
  const { name } = command;
  const deletes = isDeletion(command);
  if (!isRefName(name)) return 'Git takes no ref of that name';
  if (name.startsWith('refs/aliases/')) return 'aliases are moved by `cairn alias`, not by a push';
  if (/^refs\/tags\/v\d+$/i.test(name))
    return 'v<number> tags are the versions’ own: push a commit to main, which makes and tags the next version';
  if (!/^refs\/(heads|tags|notes)\//.test(name)) return 'only branches, tags and notes are kept';
  if (deletes && current === undefined) return 'there is no such ref';
  if ((current?.oid ?? ZERO_OID) !== command.old) return 'it has moved meanwhile: fetch first';
  const clash = names.clash(name);
  if (!deletes && clash !== undefined) return `it cannot stand beside ${clash}`;
  if (name === MAIN && deletes) return 'main is the history of the versions and cannot be deleted';
  if (!deletes) {
    const type = await database.typeOf(command.new);
    if (type === undefined) return `${command.new} was not sent`;
    if (name.startsWith('refs/heads/') && type !== 'commit') return `a branch names a commit, not a ${type}`;
  }
  if (current === undefined) return undefined;
  const rewrites =
    deletes || !name.startsWith('refs/heads/') || !(await isAncestor(database, current.oid, command.new));
  if (!rewrites || (name.startsWith('refs/notes/') && !deletes)) return undefined;
  if (name === MAIN) return 'main only moves forward: fetch, merge or rebase, and push again';
  if (mayRewrite) return undefined;
  return deletes
    ? 'deleting it needs the role "deployer"'
    : 'moving it to where it does not lead needs the role "deployer"';
}
