import { expect, test } from 'vitest';
import { configKeys, parseConfig } from '../../infra/config.ts';

test('without any key, nothing that costs money while idle is made, and all data is kept', () => {
  expect(parseConfig({ 'aws:cdk:other': 1 })).toMatchObject({ serving: false, removalPolicy: 'retain' });
});

test('a value on the command line means the same as in cdk.json', () => {
  const inFile = {
    'cairn:serving': true,
    'cairn:logRetentionDays': 7,
    'cairn:throttling': { rate: 5, burst: 9 },
  };
  const onCommandLine = Object.fromEntries(
    Object.entries(inFile).map(([key, value]) => [key, JSON.stringify(value)]),
  );
  expect(parseConfig(onCommandLine)).toEqual(parseConfig(inFile));
});

test.each([
  ['an unknown key', { 'cairn:srving': true }, 'cairn:srving: unknown'],
  ['a key inside a value', { 'cairn:throttling': { rate: 1, burst: 1, per: 's' } }, 'cairn:throttling: '],
  ['a wrong value', { 'cairn:removalPolicy': 'keep' }, 'cairn:removalPolicy: '],
  [
    'a retention that CloudWatch has not',
    { 'cairn:logRetentionDays': 8 },
    'cairn:logRetentionDays: one of 1, 3',
  ],
  ['half a VPC', { 'cairn:serving': true, 'cairn:vpc': { id: 'vpc-0a' } }, 'cairn:vpc.subnetIds: '],
  [
    'a key that would be without effect',
    { 'cairn:modelServerImage': 'x' },
    'cairn:modelServerImage: only with cairn:serving=true',
  ],
])('%s is refused by its name', (_, context, message) => {
  expect(() => parseConfig(context)).toThrow(message);
});

test('every key says what it means', () => {
  for (const { key, meaning } of configKeys()) expect(meaning, key).not.toBe('');
});
