import { readFileSync } from 'node:fs';

const folder = new URL('../../models/digits/', import.meta.url);

/** The 360 images that no model has been trained on, 64 grey levels of 0 to 16 each, and what they show. */
export const testSet: { images: number[][]; labels: number[] } = JSON.parse(
  readFileSync(new URL('test.json', folder), 'utf8'),
);

export const digitsModel = (name: 'digits-v1' | 'digits-v2' | 'digits-v3-broken') =>
  readFileSync(new URL(`${name}.onnx`, folder));

/** An Open Inference Protocol request for images. */
export const asksFor = (images: readonly (readonly number[])[]) => ({
  inputs: [{ name: 'image', datatype: 'FP32', shape: [images.length, 64], data: images.flat() }],
});

/** The same by the binary tensor data extension, for both ways. */
export function asksInBinary(images: readonly (readonly number[])[]): {
  headers: Record<string, string>;
  body: Buffer;
} {
  const data = Buffer.from(Float32Array.from(images.flat()).buffer);
  const json = Buffer.from(
    JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: [
        {
          name: 'image',
          datatype: 'FP32',
          shape: [images.length, 64],
          parameters: { binary_data_size: data.length },
        },
      ],
    }),
  );
  return {
    headers: {
      'inference-header-content-length': String(json.length),
      'content-type': 'application/octet-stream',
    },
    body: Buffer.concat([json, data]),
  };
}

/** Labels and probabilities of a binary answer. */
export function readBinary(
  headers: Record<string, unknown>,
  body: Buffer,
): { labels: number[]; probabilities: number[] } {
  const length = Number(headers['inference-header-content-length']);
  const { outputs } = JSON.parse(body.subarray(0, length).toString());
  const [labels, probabilities] = outputs;
  const middle = length + labels.parameters.binary_data_size;
  const copy = (from: number, to: number) => Uint8Array.from(body.subarray(from, to)).buffer;
  return {
    labels: Array.from(new BigInt64Array(copy(length, middle)), Number),
    probabilities: Array.from(
      new Float32Array(copy(middle, middle + probabilities.parameters.binary_data_size)),
    ),
  };
}
