import * as z from 'zod';
import { DELETED_KINDS } from '../../../shared/tracking/deleted.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { Reason } from '../models/models.routes.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';
import { WorkspaceParam } from '../workspaces/workspaces.routes.ts';

const DeletedBefore = Time.transform((time) => Date.parse(time))
  .optional()
  .meta({
    ...Time.meta(),
    type: 'string',
    description: 'Only what was deleted before this.',
    example: '2026-02-01T00:00:00.000Z',
  });

const described = later(() => ({
  kind: z.enum(DELETED_KINDS),
  id: z.string(),
  name: z.string().meta({ description: 'The name that it had when it was deleted.' }),
  experiment: z.string().meta({ description: 'The id of the experiment that it is in, or is.' }),
  deletedAt: Time,
}));

const EXAMPLE = {
  kind: 'run',
  id: 'f0e1d2c3b4a5968778695a4b3c2d1e0f',
  name: 'wise-eel-362',
  experiment: '177235380000012345',
  deletedAt: '2026-01-15T08:30:00.000Z',
} as const;

const Deleted = later(() => z.strictObject(described()).meta({ id: 'Deleted', example: EXAMPLE }));

const Purged = later(() =>
  z
    .strictObject({
      ...described(),
      dryRun: z.boolean(),
      runs: z.int().meta({ description: 'Runs that went: itself, or those of the experiment.' }),
      loggedModels: z.int(),
      files: z.int().meta({ description: 'Artifacts that went, with what nothing recorded.' }),
      bytes: z.int().meta({ description: 'Of those files. What versions were made of stays with them.' }),
      complete: z.boolean().meta({
        description:
          'Whether that was all of it. Otherwise the same request goes on, as the hourly clean-up does; of a dry run the figures are then the least.',
      }),
    })
    .meta({
      id: 'Purged',
      example: {
        ...EXAMPLE,
        dryRun: false,
        runs: 1,
        loggedModels: 0,
        files: 4,
        bytes: 51234,
        complete: true,
      },
    }),
);

export const listDeleted = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/deleted`,
  operationId: 'listDeleted',
  tag: 'tracking',
  summary: 'List deleted runs, experiments and logged models, those deleted first first',
  description: 'They can be restored, as MLflow’s clients do, until they are purged.',
  params: z.object({ workspace: WorkspaceParam }),
  query: PageQuery.extend({ deletedBefore: DeletedBefore }),
  answers: { 200: { description: 'A page of what was deleted.', schema: pageOf(Deleted) } },
  errors: ['WORKSPACE_NOT_FOUND'],
} satisfies Contract;

export const purgeDeleted = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/deleted/{kind}/{id}/purge`,
  operationId: 'purgeDeleted',
  tag: 'tracking',
  summary: 'Remove a deleted run, experiment or logged model for good',
  description:
    'With its metrics and artifacts; an experiment with all its runs and logged models, and its name is free. Its audit trail stays, and so do model versions that were made of it, with their bytes.',
  params: z.object({
    workspace: WorkspaceParam,
    kind: z.enum(DELETED_KINDS).meta({ example: 'run' }),
    id: z.string().min(1).max(300).meta({ example: EXAMPLE.id }),
  }),
  body: z
    .strictObject({
      dryRun: z.boolean().default(false).meta({ description: 'Only tells what would go.' }),
      deletedBefore: DeletedBefore,
      reason: Reason,
    })
    .meta({ id: 'Purge', example: { reason: 'older than 30 days' } }),
  bodyOptional: true,
  answers: { 200: { description: 'What went.', schema: Purged } },
  errors: ['EXPERIMENT_NOT_FOUND', 'RUN_NOT_FOUND', 'LOGGED_MODEL_NOT_FOUND', 'NOT_DELETED'],
} satisfies Contract;
