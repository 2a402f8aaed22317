import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, expectTypeOf, test } from 'vitest';
import type { RolloutEvent } from '../../../shared/serving/rollout.ts';
import {
  CAIRN_EVENTS,
  type CairnEvent,
  EventName,
  namesOf,
  subscriptionOf,
} from '../../../shared/webhooks/event-name.ts';

const SHARED = join(import.meta.dirname, '../../../shared');

test('every audit event of a model or an endpoint can be asked for, and no other', () => {
  const sources = globSync('{registry,serving}/**/*.ts', { cwd: SHARED });
  const text = sources.map((path) => readFileSync(join(SHARED, path), 'utf8')).join('\n');
  const found = [
    ...text.matchAll(/'((?:model|version|alias|upload|refs|lock|endpoint)\.[a-z-]+(?:ed|-force))'/g),
  ];
  const written = new Set(found.map(([, name]) => name));
  expect(written.size).toBeGreaterThan(20);
  const ofRollouts = CAIRN_EVENTS.filter((name) => /^endpoint\.(roll|traffic)/.test(name));
  expect([...new Set([...written, ...ofRollouts])].sort()).toEqual([...CAIRN_EVENTS].sort());
  expectTypeOf<`endpoint.${RolloutEvent['type']}`>().toExtend<CairnEvent>();
});

test('a subscription is what its names say, and the other way round', () => {
  expect(namesOf(subscriptionOf(EventName.options))).toEqual(EventName.options);
  expect(subscriptionOf(['alias.moved', 'model_version_alias.created', 'alias.moved'])).toEqual({
    actions: ['alias.moved'],
    events: [{ entity: 'MODEL_VERSION_ALIAS', action: 'CREATED' }],
  });
});
