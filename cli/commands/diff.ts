import type { Command } from 'commander';
import type { TensorSpec } from '../../shared/registry/format/signature.ts';
import type { Artifact, Version } from '../api.ts';
import type { Client } from '../client.ts';
import { run } from '../context.ts';
import {
  type ModelRef,
  parseModelRef,
  parseTarget,
  refText,
  resolveVersion,
  versionPath,
} from '../model-ref.ts';
import { bytes } from '../output.ts';
import { table } from '../table.ts';
import { shapeText } from './show.ts';

interface FileChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly sizeBefore?: number;
  readonly size?: number;
}

interface ValueChange {
  readonly name: string;
  readonly before?: string;
  readonly after?: string;
}

export function diff(program: Command): void {
  program
    .command('diff')
    .description('show what changed between two versions: files, sizes, signature, metrics, tags')
    .argument('<model@ref>', 'the one before, for example digits@1')
    .argument('<ref>', 'the one after: 2, champion, latest or digits@2')
    .addHelpText(
      'after',
      '\nExamples:\n  cairn diff digits@1 2\n  cairn diff digits@champion latest --json\n  cairn diff digits@3 other@1',
    )
    .action(
      run(async ({ client, output, workspace }, first: string, second: string) => {
        const from = parseModelRef(first, workspace);
        const to: ModelRef = /[@/]/.test(second)
          ? parseModelRef(second, workspace)
          : { ...from, target: parseTarget(second) };
        const [before, after] = await Promise.all([resolveVersion(client, from), resolveVersion(client, to)]);
        const files = fileChanges(await filesOf(client, from, before), await filesOf(client, to, after));
        const signature = valueChanges(tensors(before), tensors(after));
        const tags = valueChanges(before.tags, after.tags);
        const facts = valueChanges(factsOf(before), factsOf(after));
        const metrics = valueChanges(metricsOf(before), metricsOf(after));
        const parameters = valueChanges(parametersOf(before), parametersOf(after));
        output.result({ from: before, to: after, files, signature, metrics, parameters, tags, facts }, () =>
          text(before, after, files, [
            ...facts,
            ...signature,
            ...named('metric', metrics),
            ...named('parameter', parameters),
            ...named('tag', tags),
          ]),
        );
      }),
    );
}

async function filesOf(client: Client, ref: ModelRef, version: Version): Promise<readonly Artifact[]> {
  if (version.status !== 'READY' || version.reference !== undefined) return [];
  return (
    await client.list<Artifact>(`${versionPath(ref, version.version)}/files`, {}, Number.MAX_SAFE_INTEGER)
  ).items;
}

function fileChanges(before: readonly Artifact[], after: readonly Artifact[]): FileChange[] {
  const old = new Map(before.map((file) => [file.path, file]));
  const changes: FileChange[] = [];
  for (const { path, size, sha256 } of after) {
    const was = old.get(path);
    old.delete(path);
    if (!was) changes.push({ path, change: 'added', size });
    else if (was.sha256 !== sha256) changes.push({ path, change: 'changed', sizeBefore: was.size, size });
  }
  for (const { path, size } of old.values()) changes.push({ path, change: 'removed', sizeBefore: size });
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

type Values = Readonly<Record<string, string | undefined>>;

function valueChanges(before: Values, after: Values): ValueChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => {
    const [was, is] = [before, after].map((values) =>
      Object.hasOwn(values, name) ? values[name] : undefined,
    );
    if (was === is) return [];
    return [{ name, ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) }];
  });
}

function tensors({ signature }: Version): Values {
  const specs = (kind: string, list: readonly TensorSpec[] = []) =>
    list.map((tensor) => [`${kind} ${tensor.name}`, `${tensor.datatype} ${shapeText(tensor)}`]);
  return Object.fromEntries([...specs('input', signature?.inputs), ...specs('output', signature?.outputs)]);
}

/** What the runs said that the versions come from. */
const metricsOf = ({ source }: Version): Values =>
  Object.fromEntries(
    Object.entries(source.lineage?.metrics ?? {}).map(([name, value]) => [name, String(value)]),
  );
const parametersOf = ({ source }: Version): Values => source.lineage?.params ?? {};

const named = (kind: string, changes: readonly ValueChange[]): ValueChange[] =>
  changes.map((change) => ({ ...change, name: `${kind} ${change.name}` }));

const factsOf = ({ framework, format, entry }: Version): Values => ({ framework, format, entry });

function text(
  before: Version,
  after: Version,
  files: readonly FileChange[],
  values: readonly ValueChange[],
): string {
  const head = `${refText(before, before.version)} → ${refText(after, after.version)}: ${bytes(before.size)} → ${bytes(after.size)}`;
  const size = (count: number | undefined) => (count === undefined ? undefined : bytes(count));
  return [
    head,
    ...(files.length === 0
      ? ['The same files.']
      : [
          table(
            ['FILE', 'CHANGE', 'BEFORE', 'AFTER'],
            files.map((file) => [file.path, file.change, size(file.sizeBefore), size(file.size)]),
          ),
        ]),
    ...(values.length === 0
      ? []
      : [
          '',
          table(
            ['VALUE', 'BEFORE', 'AFTER'],
            values.map((value) => [value.name, value.before, value.after]),
            { cut: ['BEFORE', 'AFTER'] },
          ),
        ]),
  ].join('\n');
}
