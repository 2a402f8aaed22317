import type { AuditEvent } from '../audit/event.ts';
import type { Model } from '../registry/model.ts';
import type { Tags } from '../registry/name.ts';
import { isPrompt } from '../registry/search-fields.ts';
import { sourceUri } from '../registry/search-versions.ts';
import type { Version } from '../registry/version.ts';
import type { MlflowNotice, WebhookEvent } from './event.ts';

const TEMPLATE_TAG = 'mlflow.prompt.text';

/** The audit event that becomes a notice of it. */
export function actionOf({ entity, action }: WebhookEvent): string {
  switch (entity) {
    case 'REGISTERED_MODEL':
    case 'PROMPT':
      return 'model.created';
    case 'MODEL_VERSION':
    case 'PROMPT_VERSION':
      return 'version.created';
    case 'PROMPT_TAG':
      return 'model.updated';
    case 'MODEL_VERSION_TAG':
    case 'PROMPT_VERSION_TAG':
      return 'version.updated';
    default:
      return action === 'CREATED' ? 'alias.moved' : 'alias.deleted';
  }
}

/** What an audit event means to MLflow's webhooks: mostly one notice, for tags one each, for the rest of the trail none. */
export function noticesOf(event: AuditEvent, model: Model): MlflowNotice[] {
  const prompt = isPrompt(model);
  const { name } = model;
  const { before, after } = event;
  switch (event.action) {
    case 'model.created': {
      const { tags, description } = after as Model;
      const entity = prompt ? 'PROMPT' : 'REGISTERED_MODEL';
      return [{ event: { entity, action: 'CREATED' }, data: { name, tags, description } }];
    }
    case 'version.created': {
      const made = after as Version;
      const { tags, description } = made;
      const version = String(made.number);
      return prompt
        ? [
            {
              event: { entity: 'PROMPT_VERSION', action: 'CREATED' },
              data: { name, version, template: tags[TEMPLATE_TAG] ?? '', tags, description },
            },
          ]
        : [
            {
              event: { entity: 'MODEL_VERSION', action: 'CREATED' },
              data: {
                name,
                version,
                source: sourceUri(made),
                run_id: made.source.run ?? null,
                tags,
                description,
              },
            },
          ];
    }
    case 'model.updated':
      return prompt ? tagNotices('PROMPT_TAG', { name }, tagsOf(before), tagsOf(after)) : [];
    case 'version.updated': {
      const version = event.subject.slice(event.subject.lastIndexOf('@') + 1);
      const entity = prompt ? 'PROMPT_VERSION_TAG' : 'MODEL_VERSION_TAG';
      return tagNotices(entity, { name, version }, tagsOf(before), tagsOf(after));
    }
    case 'alias.moved':
    case 'alias.deleted': {
      const alias = event.subject.slice(event.subject.lastIndexOf('@') + 1);
      const entity = prompt ? 'PROMPT_ALIAS' : 'MODEL_VERSION_ALIAS';
      const { version } = after as { version: number | null };
      return version === null
        ? [{ event: { entity, action: 'DELETED' }, data: { name, alias } }]
        : [{ event: { entity, action: 'CREATED' }, data: { name, alias, version: String(version) } }];
    }
    default:
      return [];
  }
}

const tagsOf = (record: unknown): Tags => (record as { tags: Tags }).tags;

function tagNotices(
  entity: 'PROMPT_TAG' | 'MODEL_VERSION_TAG' | 'PROMPT_VERSION_TAG',
  subject: Readonly<Record<string, string>>,
  before: Tags,
  after: Tags,
): MlflowNotice[] {
  const set = Object.entries(after).filter(([key, value]) => before[key] !== value);
  const deleted = Object.keys(before).filter((key) => !Object.hasOwn(after, key));
  return [
    ...set.map(
      ([key, value]): MlflowNotice => ({
        event: { entity, action: 'SET' },
        data: { ...subject, key, value },
      }),
    ),
    ...deleted.map(
      (key): MlflowNotice => ({ event: { entity, action: 'DELETED' }, data: { ...subject, key } }),
    ),
  ];
}
