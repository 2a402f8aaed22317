import * as z from 'zod';

/** One input or output of a model. */
export const TensorSpec = z.strictObject({
  name: z.string(),
  /**
   * The Open Inference Protocol's word (`FP32`, `INT64`, `BYTES` for text …); for what the protocol has no word for,
   * the source's own in upper case: `SEQUENCE`, `MAP`, `OPTIONAL`, `DATETIME`, `COMPLEX64` …
   */
  datatype: z.string(),
  /** -1 where any size fits. Absent when the model does not say how many dimensions there are. */
  shape: z.array(z.int().min(-1)).optional(),
  /** The names that the model gives its dimensions, null where it gives none; absent when all are nameless. */
  dimensions: z.array(z.string().nullable()).optional(),
  /** false for a column that may be left out. */
  required: z.boolean().optional(),
});
export type TensorSpec = z.infer<typeof TensorSpec>;

/** What goes into a model and what comes out, as its own files say. */
export const Signature = z.strictObject({
  /** `tensor`: the names are tensors; `column`: they are columns of a table (MLflow). */
  kind: z.enum(['tensor', 'column']),
  inputs: z.array(TensorSpec),
  outputs: z.array(TensorSpec),
  onnx: z
    .strictObject({
      irVersion: z.int(),
      /** Version of the operator set by domain; the standard one's domain is `ai.onnx`. */
      opsets: z.record(z.string(), z.int()),
      producer: z.string().optional(),
      graph: z.string().optional(),
      /** Files beside the model that hold weights, relative to it. */
      externalData: z.array(z.string()).optional(),
    })
    .optional(),
});
export type Signature = z.infer<typeof Signature>;
