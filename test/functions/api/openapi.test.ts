import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERRORS } from '../../../shared/errors.ts';
import { type Api, CONTRACTS, openApi } from './api-fixture.ts';

let api: Api;
// biome-ignore lint/suspicious/noExplicitAny: the document is checked as a whole
let document: any;
beforeAll(async () => {
  api = await openApi();
  document = (await api.call('GET', '/openapi.json', { token: null })).json;
});
afterAll(() => api.close());

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

// biome-ignore lint/suspicious/noExplicitAny: as above
const operations = (): { method: string; path: string; operation: any }[] =>
  Object.entries(document.paths as object).flatMap(([path, methods]) =>
    Object.entries(methods as object).map(([method, operation]) => ({ method, path, operation })),
  );

const filled = (path: string) =>
  path
    .replace('{workspace}', 'default')
    .replace('{version}', '1')
    .replace('{upload}', '0195f3a1-7c4e-7b53-9c1a-3a5f0c6f9b1e')
    .replaceAll(/\{\w+\}/g, 'x');

describe('the description', () => {
  test('is a valid OpenAPI 3.1 document', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(document.openapi).toBe('3.1.0');
    expect(document.info.version).toBe('1.2.3');
  });

  test('has every route, each with an id of its own, a tag and a summary', () => {
    const all = operations();
    expect(all).toHaveLength(CONTRACTS.length);
    expect(new Set(all.map(({ operation }) => operation.operationId)).size).toBe(all.length);
    const tags = new Set(document.tags.map(({ name }: { name: string }) => name));
    for (const { method, operation } of all) {
      expect(METHODS).toContain(method);
      expect(operation.summary).toMatch(/^[A-Z]/);
      for (const tag of operation.tags) expect(tags).toContain(tag);
    }
  });

  test('documents problems as problem+json wherever there can be one', () => {
    for (const { operation } of operations()) {
      for (const [status, answer] of Object.entries(
        operation.responses as Record<string, { content?: object }>,
      )) {
        if (Number(status) >= 400 && operation.operationId !== 'readyz') {
          expect(Object.keys(answer.content ?? {})).toEqual(['application/problem+json']);
        }
      }
    }
  });

  test('bodies have examples that fit their schemas', () => {
    for (const { body, operationId } of CONTRACTS) {
      if (!body) continue;
      const example = body.meta()?.example;
      expect(example, operationId).toBeDefined();
      expect(body.safeParse(example).error, operationId).toBeUndefined();
    }
  });
});

describe('who may ask without a token', () => {
  test('only the open routes', () => {
    const open = operations().filter(({ operation }) => operation.security?.length === 0);
    expect(open.map(({ path }) => path).toSorted()).toEqual([
      '/',
      '/.well-known/oauth-protected-resource',
      '/docs',
      '/healthz',
      '/openapi.json',
      '/readyz',
      '/version',
    ]);
  });

  test('every other route answers 401 and how to log in', async () => {
    for (const { method, path, operation } of operations()) {
      if (operation.security?.length === 0) continue;
      const answer = await api.call(method.toUpperCase(), filled(path), { token: null });
      expect([path, answer.status, answer.json.code]).toEqual([path, 401, 'UNAUTHENTICATED']);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="cairn", Basic realm="cairn"');
    }
    expect((await api.call('GET', '/elsewhere', { token: null })).status).toBe(401);
  });
});

describe('the docs page', () => {
  test('asks no other host for anything and runs no script', async () => {
    const page = await api.call('GET', '/docs', { token: null });
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.json).not.toMatch(/<(script|img|iframe|link|form)\b/i);
    expect(page.json).not.toMatch(/\b(src|href)="(https?:)?\/\//i);
    expect(page.json).not.toMatch(/url\(|@import/i);
  });

  test('has every route, and links only to what is on it', async () => {
    const { json } = await api.call('GET', '/docs', { token: null });
    const ids = new Set([...json.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id));
    for (const { operationId } of CONTRACTS) expect(ids).toContain(operationId);
    for (const [, target] of json.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  test('is where the root leads', async () => {
    const root = await api.call('GET', '/', { token: null });
    expect([root.status, root.headers.get('location')]).toEqual([302, '/docs']);
  });
});

test.each(Object.entries(ERRORS))(
  'the error %s has a status and says what to do',
  (code, { status, fix }) => {
    expect(code).toMatch(/^[A-Z_]+$/);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    expect(fix).toMatch(/[.]$/);
  },
);
