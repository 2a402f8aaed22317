import type { InferRequest } from './infer-request.ts';
import type { Model } from './model.ts';
import type { Tensor, Tensors } from './tensor.ts';
import { dataToBytes } from './tensor-binary.ts';
import { dataToJson } from './tensor-json.ts';

export interface EncodedResponse {
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array;
}

/**
 * The inference response of the Open Inference Protocol v2: JSON, with the bytes of outputs asked for in binary behind
 * it as the binary tensor data extension says.
 */
export function encodeInferResponse(request: InferRequest, outputs: Tensors, model: Model): EncodedResponse {
  const binary: Uint8Array[] = [];
  const tensors = request.outputs.map(({ name, binary: asBytes }) => {
    const tensor = outputs[name] as Tensor;
    const head = `{"name":${JSON.stringify(name)},"datatype":"${tensor.datatype}","shape":[${tensor.shape.join(',')}]`;
    if (!asBytes) return `${head},"data":${dataToJson(tensor)}}`;
    const bytes = dataToBytes(tensor);
    binary.push(bytes);
    return `${head},"parameters":{"binary_data_size":${bytes.byteLength}}}`;
  });
  const id = request.id === undefined ? '' : `,"id":${JSON.stringify(request.id)}`;
  const served = `"model_name":${JSON.stringify(model.name)},"model_version":${JSON.stringify(model.version)}`;
  const json = `{${served}${id},"outputs":[${tensors.join(',')}]}`;
  if (binary.length === 0) return { headers: { 'content-type': 'application/json' }, body: json };
  const header = Buffer.from(json);
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(header.length),
    },
    body: Buffer.concat([header, ...binary]),
  };
}
