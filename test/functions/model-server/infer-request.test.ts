import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readInferRequest } from '../../../functions/model-server/infer-request.ts';
import { readInvocation } from '../../../functions/model-server/invocations.ts';
import type { Model, Port } from '../../../functions/model-server/model.ts';
import { sizeOf, type Tensors } from '../../../functions/model-server/tensor.ts';

const ports: Port[] = [
  { name: 'a', datatype: 'FP32', shape: [-1, 2] },
  { name: 'b', datatype: 'BYTES', shape: [1] },
  { name: 'c', datatype: 'INT64' },
];

const model: Model = {
  name: 'm',
  version: '1',
  inputs: new Map(ports.map((port) => [port.name, port])),
  outputs: new Map([['y', { name: 'y', datatype: 'FP32', shape: [-1] }]]),
  run: () => Promise.reject(new Error('not run here')),
  joinable: false,
};

/** JSON values that are near to what is right, so that many get far. */
const anything = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(-1, 0, 1, 2, 1e308, 'FP32', [1, 2], [[1, 2]], [], {}, 'a', null),
);
const tensor = fc.record(
  {
    name: fc.oneof(fc.constantFrom('a', 'b', 'c'), anything),
    datatype: fc.oneof(fc.constantFrom('FP32', 'BYTES', 'INT64'), anything),
    shape: fc.oneof(fc.array(fc.integer({ min: -1, max: 3 }), { maxLength: 3 }), anything),
    data: fc.oneof(fc.array(fc.integer(), { maxLength: 4 }), anything),
    parameters: fc.oneof(fc.record({ binary_data_size: fc.oneof(fc.nat(40), anything) }), anything),
  },
  { requiredKeys: [] },
);
const request = fc.record(
  {
    id: anything,
    inputs: fc.oneof(fc.array(tensor, { maxLength: 4 }), anything),
    outputs: anything,
    parameters: anything,
  },
  { requiredKeys: [] },
);

/** Whatever is accepted fits the model; whatever is not is the client's mistake, in a sentence. */
function expectFitOrRefused(read: () => { inputs: Tensors }): void {
  let inputs: Tensors;
  try {
    inputs = read().inputs;
  } catch (error) {
    expect(error).toMatchObject({
      code: expect.stringMatching(/^(INVALID_ARGUMENT|UNSUPPORTED_MEDIA_TYPE)$/),
    });
    return;
  }
  for (const [name, { datatype, shape, data }] of Object.entries(inputs)) {
    expect(datatype).toBe(model.inputs.get(name)?.datatype);
    expect(data).toHaveLength(sizeOf(shape));
  }
}

test('any JSON is a request that fits the model or is refused with a sentence', () => {
  fc.assert(
    fc.property(request, fc.uint8Array({ maxLength: 60 }), fc.boolean(), (json, rest, binary) => {
      const head = Buffer.from(JSON.stringify(json));
      const length = binary ? String(head.length) : undefined;
      expectFitOrRefused(() => readInferRequest(binary ? Buffer.concat([head, rest]) : head, length, model));
    }),
    { numRuns: 3000 },
  );
});

test('so is anything sent to /invocations', () => {
  const invocation = fc.oneof(request, fc.record({ instances: anything }), fc.record({ inputs: anything }));
  fc.assert(
    fc.property(invocation, (json) => {
      expectFitOrRefused(() => readInvocation(Buffer.from(JSON.stringify(json)), 'application/json', model));
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const sole: Model = { ...model, inputs: new Map([['a', ports[0] as Port]]) };
      expectFitOrRefused(() => readInvocation(Buffer.from(text), 'text/csv', sole));
    }),
  );
});
