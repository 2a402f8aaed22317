import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { picture } from '../../infra/picture.ts';
import { type Resource, SERVING, synthesised } from './synthesised.ts';

const resources = (): Record<string, Resource> =>
  Object.assign({}, ...Object.values(synthesised(SERVING)).map(({ Resources }) => Resources));

test('the picture in docs/aws.md is that of the templates', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/aws.md'), 'utf8');
  const [, drawn] = /```mermaid\n([\s\S]*?)\n```/.exec(page) ?? [];
  expect(drawn).toBe(picture(resources()));
});

test('it has every function, and each is called by something', () => {
  const lines = picture(resources()).split('\n');
  const functions = lines.flatMap((line) => /^ {2}(\w+)\(\[/.exec(line)?.[1] ?? []);
  expect(functions).toHaveLength(8);
  for (const name of functions) expect(lines).toContainEqual(expect.stringMatching(`--> ${name}$`));
});
