import type { Command } from 'commander';
import type { TensorSpec } from '../../shared/registry/format/signature.ts';
import type { Alias, Artifact, Model, Version } from '../api.ts';
import { hasCode } from '../cli-error.ts';
import { type Context, run } from '../context.ts';
import {
  type ModelRef,
  modelPath,
  parseModelRef,
  refText,
  resolveVersion,
  shellWord,
  versionPath,
} from '../model-ref.ts';
import { bytes, fields, pairsText, plural, when } from '../output.ts';
import { table } from '../table.ts';

const FILES_SHOWN = 50;

export function show(program: Command): void {
  program
    .command('show')
    .description('show a model, or one of its versions with signature, files, aliases and approval')
    .argument('<model[@ref]>', 'for example digits, digits@3 or digits@champion')
    .addHelpText(
      'after',
      '\nExamples:\n  cairn show digits\n  cairn show digits@champion\n  cairn show digits@3 --json',
    )
    .action(
      run(async (context, text: string) => {
        const ref = parseModelRef(text, context.workspace);
        await (ref.target ? showVersion(context, ref) : showModel(context, ref));
      }),
    );
}

const aliasesOf = async ({ client }: Context, ref: ModelRef) =>
  (await client.list<Alias>(`${modelPath(ref)}/aliases`, {}, 1000)).items;

async function showModel(context: Context, ref: ModelRef): Promise<void> {
  const { client, output } = context;
  const model = await client.get<Model>(modelPath(ref));
  const aliases = await aliasesOf(context, ref);
  const latestVersion = await resolveVersion(client, ref).catch((error) => {
    if (hasCode(error, 'VERSION_NOT_FOUND')) return undefined;
    throw error;
  });
  output.result({ ...model, aliases, ...(latestVersion && { latestVersion }) }, () =>
    [
      fields([
        ['Model', model.name],
        ['Workspace', model.workspace],
        ['Description', model.description],
        ['Tags', pairsText(model.tags)],
        ['Created', `${when(model.createdAt)} by ${model.createdBy}`],
        ['Updated', when(model.updatedAt)],
        ['Id', model.id],
        [
          'Latest version',
          latestVersion ? `${latestVersion.version} (${when(latestVersion.createdAt)})` : 'none yet',
        ],
        ['Aliases', aliasText(aliases)],
      ]),
      '',
      latestVersion
        ? `See \`cairn versions ${shellWord(model.name)}\` and \`cairn show ${shellWord(refText({ model: model.name }, latestVersion.version))}\`.`
        : `Push a version: \`cairn push <path> ${shellWord(model.name)}\`.`,
    ].join('\n'),
  );
}

const aliasText = (aliases: readonly Alias[]) =>
  aliases.map(({ alias, version }) => `${alias} → ${version}`).join(', ');

async function showVersion(context: Context, ref: ModelRef): Promise<void> {
  const { client, output } = context;
  const version = await resolveVersion(client, ref);
  const aliases = (await aliasesOf(context, ref)).filter((alias) => alias.version === version.version);
  const files =
    version.status === 'READY' && version.reference === undefined
      ? (
          await client.list<Artifact>(
            `${versionPath(ref, version.version)}/files`,
            {},
            Number.MAX_SAFE_INTEGER,
          )
        ).items
      : [];
  output.result({ ...version, aliases, files }, () => versionText(version, aliases, files));
}

function versionText(version: Version, aliases: readonly Alias[], files: readonly Artifact[]): string {
  const { approval, signature } = version;
  const { lineage, ...source } = version.source;
  const decided = approval.by
    ? ` by ${approval.by}, ${when(approval.at)}${approval.comment ? `: ${approval.comment}` : ''}`
    : '';
  const about = fields([
    ['Model', version.model],
    ['Version', version.version],
    ['Status', version.failure ? `${version.status}: ${version.failure}` : version.status],
    ['Approval', approval.state + decided],
    ['Aliases', aliases.map(({ alias }) => alias).join(', ')],
    ['Message', version.message],
    ['Description', version.description],
    ['Tags', pairsText(version.tags)],
    ['Author', version.author],
    ['Pushed by', version.pushedBy],
    ['Created', when(version.createdAt)],
    ['Commit', version.commit],
    ['Framework', version.framework],
    ['Format', version.format],
    ['Entry', version.entry],
    ['Reference', version.reference],
    ['Source', pairsText(source)],
    ['Run', lineage?.runName],
    ['Parameters', pairsText(lineage?.params ?? {})],
    ['Metrics', pairsText(lineage?.metrics ?? {})],
    ['Omitted', lineage?.omitted && `${plural(lineage.omitted, 'value')}, which the run has`],
    ['Environment', lineage?.environment?.join(', ')],
    ['Example', lineage?.inputExample],
  ]);
  const tensors = signature && [
    '',
    ...tensorLines('Inputs', signature.inputs),
    ...tensorLines('Outputs', signature.outputs),
  ];
  return [about, ...(tensors ?? []), ...fileLines(version, files)].join('\n');
}

function tensorLines(title: string, tensors: readonly TensorSpec[]): string[] {
  if (tensors.length === 0) return [];
  const rows = tensors.map((tensor) => [`  ${tensor.name}`, tensor.datatype, shapeText(tensor)]);
  return [table([title, 'TYPE', 'SHAPE'], rows, { cut: ['SHAPE'] })];
}

export const shapeText = ({ shape, dimensions }: TensorSpec) =>
  shape === undefined
    ? 'any'
    : `[${shape.map((size, at) => (size === -1 ? (dimensions?.[at] ?? '?') : size)).join(', ')}]`;

function fileLines(version: Version, files: readonly Artifact[]): string[] {
  if (files.length === 0) return [];
  const rows = files.slice(0, FILES_SHOWN).map((file) => [`  ${file.path}`, bytes(file.size), file.sha256]);
  const title = `${plural(version.fileCount, 'file')}, ${bytes(version.size)}`;
  const more = files.length - FILES_SHOWN;
  return [
    '',
    table([title, 'SIZE', 'SHA-256'], rows, { cut: ['SHA-256'] }),
    ...(more > 0 ? [`  … and ${more} more (--json lists all)`] : []),
  ];
}
