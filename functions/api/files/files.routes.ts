import * as z from 'zod';
import { FilePath } from '../../../shared/registry/file-path.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';
import { VersionParams } from '../versions/versions.routes.ts';

const File = later(() =>
  z
    .strictObject({
      path: z.string(),
      size: z.int(),
      sha256: z.string(),
      mode: z.string().meta({ description: 'Git’s file mode.' }),
    })
    .meta({
      id: 'File',
      example: {
        path: 'model.onnx',
        size: 51234,
        sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        mode: '100644',
      },
    }),
);

export const listFiles = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/versions/{version}/files`,
  operationId: 'listFiles',
  tag: 'files',
  summary: 'List a version’s files',
  params: VersionParams,
  query: PageQuery,
  answers: { 200: { description: 'A page of files by path.', schema: pageOf(File) } },
  errors: ['MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'VERSION_NOT_READY'],
} satisfies Contract;

export const getFile = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/versions/{version}/files/{path}`,
  greedy: true,
  operationId: 'getFile',
  tag: 'files',
  summary: 'Download a file',
  description: 'Redirects to a signed URL, which takes ranges and needs no token. `{path}` may have slashes.',
  params: VersionParams.extend({
    path: FilePath.meta({
      description: 'The file’s path; slashes as they are or as %2F.',
      example: 'model.onnx',
    }),
  }),
  query: z.strictObject({
    redirect: z
      .enum(['true', 'false'])
      .default('true')
      .meta({ description: '`false`: answer the URL as JSON instead.' }),
  }),
  answers: {
    200: {
      description: 'With `redirect=false`: where the bytes are.',
      schema: later(() =>
        z.strictObject({ url: z.string(), size: z.int(), sha256: z.string(), expiresAt: Time }),
      ),
    },
    302: {
      description: 'The bytes are at Location.',
      headers: { Location: 'A signed URL.', ETag: 'The bytes’ SHA-256.' },
    },
  },
  errors: [
    'MODEL_NOT_FOUND',
    'VERSION_NOT_FOUND',
    'VERSION_NOT_READY',
    'FILE_NOT_FOUND',
    'VERSION_WITHOUT_BYTES',
  ],
} satisfies Contract;
