import { CairnError } from '../errors.ts';
import type { Entity, FilterFields } from './filter.ts';

/** One term of an order; the first decides. */
export interface Order {
  readonly entity: Entity;
  readonly key: string;
  readonly ascending: boolean;
}

const TERMS_MAX = 100;

const TERM = /^\s*((?:`[^`]*`|"[^"]*"|[^\s`"])+)(?:\s+(asc|desc))?\s*$/i;

/**
 * Parses terms such as ``metrics.`val loss` DESC``. What none is given for, `fields` decides.
 * @throws CairnError `INVALID_ARGUMENT` about the field `order_by`
 */
export function parseOrder(terms: readonly string[], fields: FilterFields): Order[] {
  if (terms.length > TERMS_MAX) throw invalid(`it has over ${TERMS_MAX} terms`);
  const orders = terms.map((term) => parseTerm(term, fields));
  const seen = new Set<string>();
  for (const { entity, key } of orders) {
    const name = `${entity}.${key}`;
    if (seen.has(name)) throw invalid(`"${key}" stands twice`);
    seen.add(name);
  }
  return orders;
}

function parseTerm(term: string, fields: FilterFields): Order {
  const [, name = '', direction = 'asc'] = TERM.exec(term) ?? [];
  if (name === '') throw invalid(`"${term}" cannot be read`);
  const ascending = direction.toLowerCase() === 'asc';
  const dot = /^(`[^`]*`|"[^"]*"|[^.`"]*)\.(.*)$/s.exec(name);
  const [entityName, key] = dot ? [bare(dot[1] ?? ''), bare(dot[2] ?? '')] : ['attribute', bare(name)];
  const known = Object.hasOwn(fields.entities, entityName) ? fields.entities[entityName] : undefined;
  const entity = dot ? known : 'attribute';
  if (entity === undefined || entity === 'dataset') throw invalid(`"${entityName}" cannot be ordered by`);
  if (entity !== 'attribute') return { entity, key, ascending };
  const field = Object.hasOwn(fields.attributes, key) ? fields.attributes[key] : undefined;
  if (!field) throw invalid(`"${key}" is not one of ${Object.keys(fields.attributes).join(', ')}`);
  return { entity, key: field.name, ascending };
}

const bare = (text: string) => (/^(`.*`|".*"|'.*')$/s.test(text) ? text.slice(1, -1) : text);

const invalid = (what: string) =>
  new CairnError('INVALID_ARGUMENT', `The order is invalid: ${what}.`, 'order_by');

/** Compares two values of one term; what is absent comes last whatever the direction, NaN just before it. */
export function compareBy(
  a: string | number | undefined,
  b: string | number | undefined,
  ascending: boolean,
): number {
  const rank = (value: string | number | undefined) =>
    value === undefined ? 2 : Number.isNaN(value) ? 1 : 0;
  if (rank(a) !== rank(b) || rank(a) > 0) return rank(a) - rank(b);
  if (a === b) return 0;
  return (a as string) < (b as string) === ascending ? -1 : 1;
}
