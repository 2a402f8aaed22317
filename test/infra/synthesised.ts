import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { cairnApp } from '../../infra/cairn-app.ts';

export interface Resource {
  readonly Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: a template has no narrower type than JSON
  readonly Properties: any;
  readonly DeletionPolicy?: string;
  readonly Metadata?: Record<string, unknown>;
}

export interface Template {
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Outputs: Readonly<Record<string, unknown>>;
}

/** Serving without building an image, so that no test needs Docker. */
export const SERVING = { 'cairn:serving': true, 'cairn:modelServerImage': 'registry.example/model-server:1' };

/** Code for functions that are looked at from outside. */
export const ANY_CODE = () => Code.fromAsset(import.meta.dirname);

const made = new Map<string, Readonly<Record<string, Template>>>();

/**
 * The templates of a configuration by the names of their stacks, made once for each.
 */
export function synthesised(context: Record<string, unknown> = {}): Readonly<Record<string, Template>> {
  const key = JSON.stringify(context);
  const known = made.get(key);
  if (known) return known;
  const templates = Object.fromEntries(
    Object.entries(assembly(context))
      .filter(([file]) => file.endsWith('.template.json'))
      .map(([file, text]) => [file.replace('.template.json', ''), JSON.parse(text) as Template]),
  );
  made.set(key, templates);
  return templates;
}

/** What is deployed; the assembly's other files say where in the sources it came from. */
const FILES = /(^manifest|\.template|\.assets)\.json$/;

/** The text of each file of the cloud assembly. @throws Error when the template has findings */
export function assembly(context: Record<string, unknown> = {}): Record<string, string> {
  const outdir = mkdtempSync(join(tmpdir(), 'cairn-synth-'));
  try {
    cairnApp(new App({ outdir, context }), ANY_CODE).app.synth();
    const files = readdirSync(outdir)
      .filter((file) => FILES.test(file))
      .sort();
    return Object.fromEntries(files.map((file) => [file, readFileSync(join(outdir, file), 'utf8')]));
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

/** All resources of a type, of all stacks. */
export function resourcesOf(templates: Readonly<Record<string, Template>>, type: string): Resource[] {
  return Object.values(templates).flatMap(({ Resources }) =>
    Object.values(Resources).filter((resource) => resource.Type === type),
  );
}
