import type { Clause, FilterFields } from '../search/filter.ts';
import type { Tags } from './name.ts';

const ENTITIES = { attribute: 'attribute', tag: 'tag', tags: 'tag' } as const;

/** What a search of registered models may speak about. */
export const MODEL_FILTER: FilterFields = {
  attributes: { name: { name: 'name', type: 'text', list: true } },
  entities: ENTITIES,
  nullable: [],
};

/** `timestamp` is what old clients call the time of the last change. */
export const MODEL_ORDER: FilterFields = {
  attributes: {
    name: { name: 'name', type: 'text' },
    timestamp: { name: 'lastUpdated', type: 'number' },
    last_updated_timestamp: { name: 'lastUpdated', type: 'number' },
  },
  entities: { attribute: 'attribute' },
  nullable: [],
};

export const VERSION_FILTER: FilterFields = {
  attributes: {
    name: { name: 'name', type: 'text', list: true },
    version_number: { name: 'number', type: 'number', quoted: true },
    run_id: { name: 'run', type: 'text', list: true },
    source_path: { name: 'source', type: 'text' },
  },
  entities: ENTITIES,
  nullable: [],
};

export const VERSION_ORDER: FilterFields = {
  attributes: {
    name: { name: 'name', type: 'text' },
    version_number: { name: 'number', type: 'number' },
    creation_timestamp: { name: 'created', type: 'number' },
    last_updated_timestamp: { name: 'lastUpdated', type: 'number' },
  },
  entities: { attribute: 'attribute' },
  nullable: [],
};

/** The tag that makes a registered model a prompt, and each of its versions. */
export const PROMPT_TAG = 'mlflow.prompt.is_prompt';

/**
 * The filter without what it says of prompts, and whether it asks for them: prompts are registered models with a tag, which
 * no search finds unless it names that tag (`_update_query_to_exclude_prompts` in MLflow's sqlalchemy_store.py).
 */
export function splitPromptClause(clauses: readonly Clause[]): { clauses: Clause[]; prompts: boolean } {
  const about = clauses.find(({ entity, key }) => entity === 'tag' && key === PROMPT_TAG);
  const value = String(about?.value).toLowerCase();
  const prompts =
    (about?.operator === '=' && value === 'true') || (about?.operator === '!=' && value === 'false');
  return { clauses: clauses.filter((clause) => clause !== about), prompts };
}

export const isPrompt = ({ tags }: { readonly tags: Tags }) => tags[PROMPT_TAG] === 'true';

/** The names that a clause leaves, as far as one tells: so that a search need not read what it cannot find. */
export function namesWanted(clauses: readonly Clause[]): { names?: readonly string[]; prefix: string } {
  let prefix = '';
  for (const { entity, key, operator, value } of clauses) {
    if (entity !== 'attribute' || key !== 'name') continue;
    if (operator === '=') return { names: [value as string], prefix };
    if (operator === 'IN') return { names: [...new Set(value as readonly string[])], prefix };
    if (operator === 'LIKE') {
      const literal = /^[^%_]*/.exec(value as string)?.[0] ?? '';
      if (literal.length > prefix.length) prefix = literal;
    }
  }
  return { prefix };
}
