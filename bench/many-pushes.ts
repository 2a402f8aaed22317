import { gitObject, ZERO_OID } from '../shared/registry/git/object.ts';
import { writePack } from '../shared/registry/git/pack.ts';
import { type BenchServer, TOKEN } from './context.ts';

const FOLDERS = 10;
const FILES = 50;

/**
 * Pushes so many commits to a model's branch `work`, each by a request of its own as git sends it: what `git push` does,
 * without starting git as often.
 */
export async function pushOneByOne(server: BenchServer, model: string, commits: number): Promise<void> {
  const files = new Map<string, string>();
  const treeOf = (entries: readonly (readonly [mode: string, name: string, oid: string])[]) =>
    gitObject(
      'tree',
      Buffer.concat(
        entries
          .toSorted(([, a], [, b]) => (a < b ? -1 : 1))
          .flatMap(([mode, name, oid]) => [Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, 'hex')]),
      ),
    );
  const folderOf = (n: number) => `part${n % FOLDERS}`;
  const trees = new Map<string, string>();
  const sent = new Set<string>();
  let parent: string | undefined;
  for (let n = 0; n < commits; n++) {
    const changed = n === 0 ? Array.from({ length: FILES }, (_, k) => k) : [(n * 7919) % FILES];
    const blobs = changed.map((k) => {
      const blob = gitObject('blob', Buffer.from(`file ${k} changed by ${n}\n`));
      files.set(`${folderOf(k)}/file${k}.txt`, blob.oid);
      return blob;
    });
    const folders = [...new Set(changed.map(folderOf))].map((folder) => {
      const inside = [...files].filter(([path]) => path.startsWith(`${folder}/`));
      const tree = treeOf(inside.map(([path, oid]) => ['100644', path.slice(folder.length + 1), oid]));
      trees.set(folder, tree.oid);
      return tree;
    });
    const root = treeOf([...trees].map(([folder, oid]) => ['40000', folder, oid]));
    const who = `Ada Lovelace <ada@example.org> ${1_600_000_000 + n * 60} +0000`;
    const lines = [`tree ${root.oid}`, ...(parent ? [`parent ${parent}`] : [])];
    const words = [...lines, `author ${who}`, `committer ${who}`, '', `commit ${n}`, ''].join('\n');
    const commit = gitObject('commit', Buffer.from(words));
    const objects = [...blobs, ...folders, root, commit].filter(({ oid }) => !sent.has(oid));
    for (const { oid } of objects) sent.add(oid);
    const line = `${parent ?? ZERO_OID} ${commit.oid} refs/heads/work\0report-status agent=git/2.39\n`;
    const head = `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`;
    const answer = await fetch(`${server.url}/default/${model}.git/git-receive-pack`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-git-receive-pack-request' },
      body: Buffer.concat([Buffer.from(head), writePack(objects).bytes]),
    });
    const said = await answer.text();
    if (!said.includes('ok refs/heads/work')) throw new Error(said);
    parent = commit.oid;
  }
}
