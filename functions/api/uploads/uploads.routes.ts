import * as z from 'zod';
import { FILES_MAX } from '../../../shared/registry/create-version.ts';
import { FilePath } from '../../../shared/registry/file-path.ts';
import { FILE_MAX } from '../../../shared/storage/part-plan.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { ModelParams } from '../models/models.routes.ts';
import { Time } from '../time.ts';
import { Draft, Sha256, Version } from '../versions/versions.routes.ts';

const UploadParams = ModelParams.extend({
  upload: z
    .uuid('must be an upload’s id')
    .meta({ description: 'The upload’s id.', example: '0195f3a1-7c4e-7b53-9c1a-3a5f0c6f9b1e' }),
});

const FileSize = z.int().min(0).max(FILE_MAX).meta({ description: 'Bytes.' });

const Upload = later(() =>
  z
    .strictObject({
      id: z.string(),
      version: z.int(),
      state: z.enum(['OPEN', 'VERIFYING', 'COMPLETED', 'ABORTED']),
      createdAt: Time,
      createdBy: z.string(),
      expiresAt: Time,
      files: z.array(
        z.strictObject({
          path: z.string(),
          size: z.int(),
          sha256: z.string(),
          partSize: z.int(),
          parts: z.int(),
          done: z.boolean().meta({ description: 'Nothing needs to be sent: the model has these bytes.' }),
          received: z.array(z.int()).meta({ description: 'Numbers of the parts that arrived whole.' }),
        }),
      ),
    })
    .meta({ id: 'Upload' }),
);

export const createUpload = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/models/{model}/uploads`,
  operationId: 'createUpload',
  tag: 'uploads',
  summary: 'Begin a version whose files are sent part by part',
  description:
    'Ask for the parts’ URLs, PUT the bytes to them without an Authorization header, then complete the upload. Files that the model has already are `done` at once.',
  params: ModelParams,
  body: z
    .strictObject({
      files: z
        .array(z.strictObject({ path: FilePath, size: FileSize, sha256: Sha256 }))
        .min(1)
        .max(FILES_MAX),
      ...Draft,
    })
    .meta({
      id: 'NewUpload',
      example: {
        files: [
          {
            path: 'model.onnx',
            size: 734003200,
            sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
          },
        ],
        message: 'Trained on all of March',
      },
    }),
  bodyLimit: 16_000_000,
  idempotency: 'stored',
  answers: { 201: { description: 'The upload.', schema: Upload, headers: { Location: 'Where it is.' } } },
  errors: ['MODEL_NOT_FOUND'],
} satisfies Contract;

export const getUpload = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/uploads/{upload}`,
  operationId: 'getUpload',
  tag: 'uploads',
  summary: 'Get an upload and which parts have arrived',
  params: UploadParams,
  answers: { 200: { description: 'The upload: where to go on after an interruption.', schema: Upload } },
  errors: ['MODEL_NOT_FOUND', 'UPLOAD_NOT_FOUND'],
} satisfies Contract;

export const signParts = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/models/{model}/uploads/{upload}/parts`,
  operationId: 'signParts',
  tag: 'uploads',
  summary: 'Get signed URLs for parts of one file',
  params: UploadParams,
  body: z
    .strictObject({
      path: FilePath,
      from: z.int().min(1).default(1),
      count: z.int().min(1).max(1000).default(100),
    })
    .meta({ id: 'PartsWanted', example: { path: 'model.onnx', from: 1, count: 100 } }),
  answers: {
    200: {
      description: 'Where to PUT the parts. The URLs are good for an hour.',
      schema: later(() =>
        z.strictObject({
          items: z.array(z.strictObject({ number: z.int(), size: z.int(), url: z.string() })),
        }),
      ),
    },
  },
  errors: ['MODEL_NOT_FOUND', 'UPLOAD_NOT_FOUND', 'FILE_NOT_FOUND'],
} satisfies Contract;

export const completeUpload = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/models/{model}/uploads/{upload}/complete`,
  operationId: 'completeUpload',
  tag: 'uploads',
  summary: 'Verify every file and turn the version READY',
  description:
    'May be sent again after an interruption. When a digest, a size or the model file is wrong, the version is FAILED.',
  params: UploadParams,
  answers: {
    200: { description: 'The version, READY.', schema: Version },
    202: {
      description:
        'The version, PENDING: its files are being verified; ask for it until it is READY or FAILED.',
      schema: Version,
    },
  },
  errors: [
    'MODEL_NOT_FOUND',
    'UPLOAD_NOT_FOUND',
    'UPLOAD_INCOMPLETE',
    'DIGEST_MISMATCH',
    'SIZE_MISMATCH',
    'MODEL_FILE_INVALID',
  ],
} satisfies Contract;

export const abortUpload = {
  method: 'delete',
  path: `${API}/workspaces/{workspace}/models/{model}/uploads/{upload}`,
  operationId: 'abortUpload',
  tag: 'uploads',
  summary: 'Give an upload up',
  description: 'Its version is FAILED and keeps its number.',
  params: UploadParams,
  answers: { 204: { description: 'It is given up.' } },
  errors: ['MODEL_NOT_FOUND', 'UPLOAD_NOT_FOUND'],
} satisfies Contract;
