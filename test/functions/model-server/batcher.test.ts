import { expect, test } from 'vitest';
import { type BatcherOptions, createBatcher } from '../../../functions/model-server/batcher.ts';
import type { Run } from '../../../functions/model-server/runtime.ts';
import { rowsOf, type Tensor, type Tensors } from '../../../functions/model-server/tensor.ts';

const rows = (values: number[], width = 1): Tensors => ({
  x: { datatype: 'FP32', shape: [values.length / width, width], data: Float32Array.from(values) },
});

/** Answers y = x, keeps what it was asked for, and fails when a value is 666. */
function recording(answer: (x: Tensor) => Tensor = (x) => x) {
  const asked: number[][] = [];
  const run: Run = async ({ x }) => {
    const tensor = x as Tensor;
    const values = Array.from(tensor.data as Float32Array);
    asked.push(values);
    await Promise.resolve();
    if (values.includes(666)) throw new Error('bad number');
    return { outputs: { y: answer(tensor) }, milliseconds: 1 };
  };
  return { asked, run };
}

const OPTIONS: BatcherOptions = {
  joinable: true,
  maxRows: 32,
  maxWaiting: 100,
  onRun: () => undefined,
  onUnjoinable: () => undefined,
};

const here = () => false;
const valuesOf = (answer: { outputs: Tensors }) => Array.from(answer.outputs.y?.data as Float32Array);

test('requests that wait are run together, and each gets its own rows', async () => {
  const { asked, run } = recording();
  const batcher = createBatcher(run, OPTIONS);
  const answers = await Promise.all(
    [[1], [2], [3, 4], [5]].map((values) => batcher.submit(rows(values), ['y'], here)),
  );
  expect(asked).toEqual([[1], [2, 3, 4, 5]]);
  expect(answers.map(valuesOf)).toEqual([[1], [2], [3, 4], [5]]);
});

test('a batch has no more rows than the most, and only requests whose shapes agree', async () => {
  const { asked, run } = recording();
  const batcher = createBatcher(run, { ...OPTIONS, maxRows: 3 });
  const inputs = [rows([0]), rows([1]), rows([2, 3], 2), rows([4]), rows([5, 6]), rows([7]), rows([8, 9], 2)];
  const answers = await Promise.all(inputs.map((input) => batcher.submit(input, ['y'], here)));
  expect(asked).toEqual([[0], [1, 4, 7], [2, 3, 8, 9], [5, 6]]);
  expect(answers.map(valuesOf)).toEqual(inputs.map((input) => Array.from(input.x?.data as Float32Array)));
});

test('a request that makes a joined run fail does not fail its neighbours', async () => {
  const { run } = recording();
  const batcher = createBatcher(run, OPTIONS);
  const settled = await Promise.allSettled(
    [[0], [1], [666], [3]].map((values) => batcher.submit(rows(values), ['y'], here).then(valuesOf)),
  );
  expect(settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.detail))).toEqual([
    [0],
    [1],
    'the model failed: bad number',
    [3],
  ]);
});

test('a model that does not answer each row is not asked for joined rows again', async () => {
  const { asked, run } = recording((x) => rowsOf(x, 0, 1));
  const warnings: string[] = [];
  const batcher = createBatcher(run, { ...OPTIONS, onUnjoinable: (why) => warnings.push(why) });
  for (const values of [[1], [2]]) {
    const answers = await Promise.all(
      [values, [3], [4]].map((one) => batcher.submit(rows(one), ['y'], here)),
    );
    expect(answers.map(valuesOf)).toEqual([values, [3], [4]]);
  }
  expect(asked).toEqual([[1], [3, 4], [3], [4], [2], [3], [4]]);
  expect(warnings).toEqual(['2 rows gave output "y" of shape [1,1]']);
});

test('nothing runs for a client that has gone', async () => {
  const { asked, run } = recording();
  const batcher = createBatcher(run, OPTIONS);
  const first = batcher.submit(rows([1]), ['y'], here);
  const gone = batcher.submit(rows([2]), ['y'], () => true);
  const last = batcher.submit(rows([3]), ['y'], here);
  await expect(gone).rejects.toThrow('the client has gone');
  expect([valuesOf(await first), valuesOf(await last)]).toEqual([[1], [3]]);
  expect(asked).toEqual([[1], [3]]);
});

test('when too many wait, the next is refused at once', async () => {
  const { run } = recording();
  const batcher = createBatcher(run, { ...OPTIONS, maxWaiting: 2 });
  const accepted = [[1], [2], [3]].map((values) => batcher.submit(rows(values), ['y'], here));
  expect(() => batcher.submit(rows([4]), ['y'], here)).toThrow(
    'ENDPOINT_NOT_READY: 2 requests are waiting already',
  );
  await Promise.all(accepted);
  expect(batcher.waiting()).toBe(0);
});
