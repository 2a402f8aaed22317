import * as z from 'zod';
import { FILES_MAX } from '../../../shared/registry/create-version.ts';
import { FilePath } from '../../../shared/registry/file-path.ts';
import { Signature } from '../../../shared/registry/format/signature.ts';
import { Description, Message, Tags } from '../../../shared/registry/name.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { ETAG, ModelParams, Reason, TagsPatch } from '../models/models.routes.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';

/** `3` or `v3`. */
export const VersionNumber = z
  .string()
  .regex(/^v?[1-9]\d{0,8}$/, 'must be a number, for example 3 or v3')
  .transform((text) => Number(text.replace('v', '')))
  .meta({ description: 'The version’s number, `3` or `v3`.', example: '3' });

export const VersionParams = ModelParams.extend({ version: VersionNumber });

export const Sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits')
  .meta({
    description: 'SHA-256, lower-case hexadecimal.',
    example: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  });

const Lineage = later(() =>
  z
    .strictObject({
      runName: z.string().optional(),
      experiment: z.string().optional(),
      params: z.record(z.string(), z.string()).optional(),
      metrics: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
      omitted: z
        .int()
        .optional()
        .meta({ description: 'Parameters and metrics that only the run has, for their size.' }),
      environment: z.array(z.string()).optional(),
      inputExample: z.string().optional(),
    })
    .meta({ id: 'Lineage', description: 'What was known of its run when the version was made.' }),
);

const sourceText = z.string().min(1).max(1000);

/** What a person says about a version when making it. */
export const Draft = {
  message: Message.default('').meta({ description: 'The commit’s message.' }),
  description: Description.default(''),
  tags: Tags.default({}),
  source: z
    .strictObject({
      run: sourceText.optional(),
      dataset: sourceText.optional(),
      codeCommit: sourceText.optional(),
    })
    .default({})
    .meta({ description: 'Where it came from.', example: { run: 'run-42', codeCommit: '4f2a9c1' } }),
};

const InlineFile = z
  .strictObject({
    path: FilePath,
    content: z.base64('must be base64').optional().meta({ description: 'The bytes in base64.' }),
    text: z.string().optional().meta({ description: 'The content as text, in UTF-8.' }),
    sha256: Sha256.optional(),
  })
  .refine(({ content, text }) => (content === undefined) !== (text === undefined), {
    path: ['content'],
    message: 'is needed, or text: exactly one of the two',
  });

export const Approval = later(() =>
  z
    .strictObject({
      state: z.enum(['PENDING', 'APPROVED', 'REJECTED']),
      by: z.string().optional(),
      at: Time.optional(),
      comment: z.string().optional(),
    })
    .meta({ id: 'Approval' }),
);

export const Version = later(() =>
  z
    .strictObject({
      workspace: z.string(),
      model: z.string(),
      version: z.int(),
      status: z
        .enum(['PENDING', 'READY', 'FAILED'])
        .meta({ description: 'PENDING while its files arrive; FAILED keeps its number.' }),
      commit: z.string().optional().meta({ description: 'Git commit id, from READY on.' }),
      tag: z.string().meta({ description: 'The Git tag.' }),
      author: z.string(),
      pushedBy: z
        .string()
        .optional()
        .meta({ description: 'The principal that pushed the commit, which names its author itself.' }),
      message: z.string(),
      description: z.string(),
      tags: z.record(z.string(), z.string()),
      fileCount: z.int(),
      size: z.int().meta({ description: 'Bytes of all files.' }),
      framework: z.string().optional(),
      format: z.string().optional(),
      entry: z.string().optional().meta({ description: 'The file that is loaded.' }),
      signature: Signature.optional().meta({
        id: 'Signature',
        description: 'Inputs and outputs, read from the files.',
      }),
      source: z.strictObject({
        via: z.enum(['api', 'upload', 'incoming', 'mlflow', 'git']),
        run: z.string().optional(),
        dataset: z.string().optional(),
        codeCommit: z.string().optional(),
        uri: z.string().optional().meta({ description: 'What an MLflow client named as the source.' }),
        runLink: z.string().optional(),
        loggedModel: z.string().optional().meta({ description: 'MLflow’s logged model.' }),
        lineage: Lineage().optional(),
      }),
      approval: Approval(),
      failure: z.string().optional().meta({ description: 'Why it FAILED.' }),
      reference: z.string().optional().meta({
        description: 'A URI that Cairn cannot read: a version without bytes, which cannot be deployed.',
      }),
      createdAt: Time,
      readyAt: Time.optional(),
    })
    .meta({
      id: 'Version',
      example: {
        workspace: 'default',
        model: 'digits',
        version: 3,
        status: 'READY',
        commit: '1b0a5e6f3d2c4b5a69788796a5b4c3d2e1f00112',
        tag: 'v3',
        author: 'ada',
        message: 'More training data',
        description: '',
        tags: {},
        fileCount: 1,
        size: 51234,
        framework: 'onnx',
        format: 'onnx',
        entry: 'model.onnx',
        source: { via: 'api', run: 'run-42' },
        approval: { state: 'PENDING' },
        createdAt: '2026-03-01T08:30:00.000Z',
        readyAt: '2026-03-01T08:30:00.000Z',
      },
    }),
);

export const listVersions = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/versions`,
  operationId: 'listVersions',
  tag: 'versions',
  summary: 'List a model’s versions, newest first',
  params: ModelParams,
  query: PageQuery,
  answers: {
    200: { description: 'A page of versions, newest first.', schema: pageOf(Version) },
  },
  errors: ['MODEL_NOT_FOUND'],
} satisfies Contract;

export const createVersion = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/models/{model}/versions`,
  operationId: 'createVersion',
  tag: 'versions',
  summary: 'Make a version from small files in the request, or as a reference',
  description: 'READY at once, and durable before the answer. Larger files go by an upload, of any size.',
  params: ModelParams,
  body: z
    .strictObject({
      files: z.array(InlineFile).min(1).max(FILES_MAX).optional(),
      reference: z
        .string()
        .min(1)
        .max(2000)
        .optional()
        .meta({ description: 'A URI that Cairn cannot read, instead of files.' }),
      ...Draft,
    })
    .refine(({ files, reference }) => (files === undefined) !== (reference === undefined), {
      path: ['files'],
      message: 'is needed, or reference: exactly one of the two',
    })
    .meta({
      id: 'NewVersion',
      example: {
        files: [{ path: 'model.onnx', content: 'CAgSBGFkYSE=' }],
        message: 'First try',
        source: { run: 'run-42' },
      },
    }),
  idempotency: 'stored',
  answers: {
    201: { description: 'The version.', schema: Version, headers: { ...ETAG, Location: 'Where it is.' } },
  },
  errors: ['MODEL_NOT_FOUND', 'DIGEST_MISMATCH', 'MODEL_FILE_INVALID'],
} satisfies Contract;

export const getVersion = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/models/{model}/versions/{version}`,
  operationId: 'getVersion',
  cached: true,
  tag: 'versions',
  summary: 'Get a version',
  params: VersionParams,
  answers: { 200: { description: 'The version.', schema: Version, headers: ETAG } },
  errors: ['MODEL_NOT_FOUND', 'VERSION_NOT_FOUND'],
} satisfies Contract;

export const updateVersion = {
  method: 'patch',
  path: `${API}/workspaces/{workspace}/models/{model}/versions/{version}`,
  operationId: 'updateVersion',
  tag: 'versions',
  summary: 'Change a version’s description or tags',
  description: 'Nothing else of a version changes, ever.',
  params: VersionParams,
  body: z
    .strictObject({ description: Description.optional(), tags: TagsPatch.optional() })
    .meta({ id: 'VersionPatch', example: { tags: { accuracy: '0.97' } } }),
  ifMatch: true,
  answers: { 200: { description: 'The version as it is now.', schema: Version, headers: ETAG } },
  errors: ['MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'PRECONDITION_FAILED'],
} satisfies Contract;

export const revertVersion = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/models/{model}/versions/{version}/revert`,
  operationId: 'revertVersion',
  tag: 'versions',
  summary: 'Make the next version with the bytes of this one',
  description: 'History goes on: nothing is rewritten, and no byte is sent or copied.',
  params: VersionParams,
  body: z
    .strictObject({ message: Message.optional() })
    .meta({ id: 'Revert', example: { message: 'Back to what worked' } }),
  bodyOptional: true,
  idempotency: 'stored',
  answers: {
    201: { description: 'The version.', schema: Version, headers: { ...ETAG, Location: 'Where it is.' } },
  },
  errors: ['MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'VERSION_NOT_READY', 'VERSION_WITHOUT_BYTES'],
} satisfies Contract;

export const deleteVersion = {
  method: 'delete',
  path: `${API}/workspaces/{workspace}/models/{model}/versions/{version}`,
  operationId: 'deleteVersion',
  tag: 'versions',
  summary: 'Delete a version',
  description: 'Its number, tag, commit and audit trail stay; its bytes go when nothing else needs them.',
  params: VersionParams,
  query: z.strictObject({ reason: Reason }),
  answers: { 204: { description: 'It is deleted.' } },
  errors: ['MODEL_NOT_FOUND', 'VERSION_NOT_FOUND', 'VERSION_IN_USE', 'VERSION_NOT_READY'],
} satisfies Contract;
