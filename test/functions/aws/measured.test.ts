import { expect, test } from 'vitest';
import { isRefusal } from '../../../functions/aws/authorizer.ts';
import { measured, someFailed } from '../../../functions/aws/measured.ts';

/** Runs the work, which takes 12 ms, and reads what was written of it. */
async function written<Output>(work: () => Output, options: Parameters<typeof measured<[], Output>>[2] = {}) {
  const lines: string[] = [];
  let clock = 1000;
  const now = () => {
    clock += 12;
    return clock - 12;
  };
  const outcome = await measured('api', async () => work(), {
    ...options,
    write: (line) => lines.push(line),
    now,
  })().then(
    (value) => ({ value, error: undefined }),
    (error: Error) => ({ value: undefined, error: error.message }),
  );
  return { ...outcome, lines: lines.map((line) => JSON.parse(line)) };
}

const fail = (message: string) => () => {
  throw new Error(message);
};

test('a run is one line in CloudWatch’s metric format, under the function’s name', async () => {
  const { value, lines } = await written(() => 'done');
  expect(value).toBe('done');
  expect(lines).toEqual([
    {
      _aws: {
        Timestamp: 1000,
        CloudWatchMetrics: [
          {
            Namespace: 'Cairn',
            Dimensions: [['Function']],
            Metrics: [
              { Name: 'Requests', Unit: 'Count', StorageResolution: 1 },
              { Name: 'Errors', Unit: 'Count', StorageResolution: 1 },
              { Name: 'Latency', Unit: 'Milliseconds', StorageResolution: 1 },
            ],
          },
        ],
      },
      Function: 'api',
      Requests: 1,
      Errors: 0,
      Latency: 12,
    },
  ]);
});

test('what fails is an error, thrown or told, and goes on as it was', async () => {
  const thrown = await written(fail('broke'));
  expect(thrown).toMatchObject({ error: 'broke', lines: [{ Errors: 1, Latency: 12 }] });
  const failed = ({ status }: { status: number }) => status >= 500;
  expect((await written(() => ({ status: 503 }), { failed })).lines).toMatchObject([{ Errors: 1 }]);
  expect((await written(() => ({ status: 404 }), { failed })).lines).toMatchObject([{ Errors: 0 }]);
  const batch = (...batchItemFailures: object[]) => ({ batchItemFailures });
  expect((await written(() => batch({}), { failed: someFailed })).lines).toMatchObject([{ Errors: 1 }]);
  expect((await written(() => batch(), { failed: someFailed })).lines).toMatchObject([{ Errors: 0 }]);
});

test('that the authorizer refuses a token is no error', async () => {
  const refused = await written(fail('Unauthorized'), { refused: isRefusal });
  expect(refused).toMatchObject({ error: 'Unauthorized', lines: [{ Errors: 0 }] });
});
