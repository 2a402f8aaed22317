import { CairnError } from '../errors.ts';
import { like } from './like.ts';

/** What a filter may speak about. MLflow's search calls share one grammar and differ in this. */
export interface FilterFields {
  /** Attributes by name, in each spelling that is taken. */
  readonly attributes: Readonly<Record<string, AttributeField>>;
  /** Names of the other entities, each in its spellings: `metrics` → `metric`. */
  readonly entities: Readonly<Record<string, Entity>>;
  /** Where `IS NULL` and `IS NOT NULL` are taken. */
  readonly nullable: readonly Entity[];
}

/** The spellings of what runs and logged models have logged to them. */
export const LOGGED_ENTITIES = {
  metric: 'metric',
  metrics: 'metric',
  param: 'param',
  params: 'param',
  parameter: 'param',
  parameters: 'param',
  tag: 'tag',
  tags: 'tag',
  attribute: 'attribute',
  attributes: 'attribute',
  attr: 'attribute',
} as const satisfies FilterFields['entities'];

export interface AttributeField {
  /** The name that the record has it under. */
  readonly name: string;
  readonly type: 'text' | 'number';
  /** Whether a number may stand in quotes. */
  readonly quoted?: boolean;
  /** Whether `IN (…)` is taken. */
  readonly list?: boolean;
}

export type Entity = 'attribute' | 'metric' | 'param' | 'tag' | 'dataset';
export type Operator =
  | '='
  | '!='
  | '<'
  | '<='
  | '>'
  | '>='
  | 'LIKE'
  | 'ILIKE'
  | 'IN'
  | 'NOT IN'
  | 'IS NULL'
  | 'IS NOT NULL';

/** One comparison; a filter holds when all of them do. */
export interface Clause {
  readonly entity: Entity;
  readonly key: string;
  readonly operator: Operator;
  readonly value?: string | number | readonly string[];
}

interface Token {
  readonly kind: 'name' | 'quoted' | 'text' | 'number' | 'operator' | 'mark';
  readonly text: string;
}

const PARTS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['number', /^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(?![\w.])/],
  ['quoted', /^`[^`]*`/],
  ['text', /^'(?:''|\\'|[^'])*'/],
  ['text', /^"(?:""|\\"|[^"])*"/],
  ['operator', /^(!=|<>|<=|>=|=|<|>)/],
  ['mark', /^[(),.]/],
  ['name', /^[\p{L}_][\p{L}\p{N}_]*/u],
];

/** Whoever searches must not keep everybody else waiting: a filter is compared with every record. */
const FILTER_MAX = 200_000;
const PATTERN_MAX = 1000;

const NUMBER_OPERATORS: readonly Operator[] = ['=', '!=', '<', '<=', '>', '>='];
const TEXT_OPERATORS: readonly Operator[] = ['=', '!=', 'LIKE', 'ILIKE'];
const LIST_OPERATORS: readonly Operator[] = ['IN', 'NOT IN'];

/**
 * Parses a search filter: comparisons joined by `AND`, as MLflow's search calls take them
 * (mlflow.org/docs/latest/ml/search/search-runs). A quoted value is what stands between its quotes.
 * @throws CairnError `INVALID_ARGUMENT` about the field `filter`
 */
export function parseFilter(text: string, fields: FilterFields): Clause[] {
  if (text.length > FILTER_MAX) throw invalid(`it has over ${FILTER_MAX} characters`);
  const tokens = tokenise(text);
  if (tokens.length === 0) return [];
  const clauses: Clause[] = [];
  let at = 0;
  const next = () => tokens[at++];
  const isWord = (word: string, offset = 0) => {
    const token = tokens[at + offset];
    return token?.kind === 'name' && token.text.toUpperCase() === word;
  };
  for (;;) {
    const clause = comparison();
    clauses.push(clause);
    if (at === tokens.length) return clauses;
    if (!isWord('AND')) throw invalid(`expected AND instead of ${tokens[at]?.text}`);
    at++;
  }

  function comparison(): Clause {
    const { entity, key } = identifier();
    const field = entity === 'attribute' ? fields.attributes[key] : undefined;
    const named = { entity, key: field?.name ?? key };
    const operator = comparator();
    if (operator === 'IS NULL' || operator === 'IS NOT NULL') {
      if (!fields.nullable.includes(entity)) throw invalid(`${operator} cannot be asked of ${key}`);
      return { ...named, operator };
    }
    const isNumber = entity === 'metric' || field?.type === 'number';
    const allowed = isNumber
      ? NUMBER_OPERATORS
      : field?.list === true || entity === 'dataset'
        ? [...TEXT_OPERATORS, ...LIST_OPERATORS]
        : TEXT_OPERATORS;
    if (!allowed.includes(operator)) throw invalid(`${key} cannot be compared with ${operator}`);
    const value = LIST_OPERATORS.includes(operator)
      ? list()
      : isNumber
        ? number(key, field?.quoted === true)
        : quoted(key);
    if (operator.endsWith('LIKE') && (value as string).length > PATTERN_MAX)
      throw invalid(`${operator} takes a pattern of at most ${PATTERN_MAX} characters`);
    return { ...named, operator, value };
  }

  function identifier(): { entity: Entity; key: string } {
    const first = next();
    if (first === undefined) throw invalid('it ends where a comparison should begin');
    if (first.kind !== 'name' && first.kind !== 'quoted' && first.kind !== 'text')
      throw invalid(`"${first.text}" is not the name of something to compare`);
    if (tokens[at]?.text !== '.') return attribute(bare(first));
    at++;
    const rest: string[] = [];
    for (;;) {
      const part = next();
      if (part === undefined || !['name', 'quoted', 'text', 'number'].includes(part.kind))
        throw invalid(`the name after "${first.text}." is missing`);
      rest.push(bare(part));
      if (tokens[at]?.text !== '.') break;
      at++;
    }
    const key = rest.join('.');
    const name = bare(first);
    const entity = Object.hasOwn(fields.entities, name) ? fields.entities[name] : undefined;
    if (entity === undefined) throw invalid(`"${first.text}" is not one of ${entityNames(fields)}`);
    return entity === 'attribute' ? attribute(key) : { entity, key };
  }

  function attribute(name: string): { entity: Entity; key: string } {
    if (!Object.hasOwn(fields.attributes, name)) {
      throw invalid(`"${name}" is not one of ${Object.keys(fields.attributes).join(', ')}`);
    }
    return { entity: 'attribute', key: name };
  }

  function comparator(): Operator {
    const token = next();
    if (token?.kind === 'operator') return token.text === '<>' ? '!=' : (token.text as Operator);
    const word = token?.kind === 'name' ? token.text.toUpperCase() : '';
    if (word === 'LIKE' || word === 'ILIKE' || word === 'IN') return word;
    if (word === 'NOT' && isWord('IN')) {
      at++;
      return 'NOT IN';
    }
    if (word === 'IS' && isWord('NULL')) {
      at++;
      return 'IS NULL';
    }
    if (word === 'IS' && isWord('NOT') && isWord('NULL', 1)) {
      at += 2;
      return 'IS NOT NULL';
    }
    throw invalid(token === undefined ? 'a comparison is missing' : `"${token.text}" is not a comparison`);
  }

  function number(key: string, inQuotes: boolean): number {
    const token = next();
    if (token?.kind === 'number') return Number(token.text);
    if (inQuotes && token?.kind === 'text' && /^-?\d+$/.test(bare(token))) return Number(bare(token));
    throw invalid(`${key} is compared with a number, not ${token?.text}`);
  }

  function quoted(key: string): string {
    const token = next();
    if (token?.kind === 'text') return bare(token);
    throw invalid(`${key} is compared with a quoted text, not ${token?.text}`);
  }

  function list(): string[] {
    if (next()?.text !== '(') throw invalid('IN is followed by a list in parentheses');
    const values: string[] = [];
    for (;;) {
      const token = next();
      if (token?.kind !== 'text') throw invalid('a list is of quoted texts');
      values.push(bare(token));
      const mark = next()?.text;
      if (mark === ')') return values;
      if (mark !== ',') throw invalid('a list ends with ")"');
    }
  }
}

function tokenise(text: string): Token[] {
  const tokens: Token[] = [];
  for (let rest = text.trimStart(); rest !== ''; ) {
    const found = PARTS.map(([kind, pattern]) => ({ kind, match: pattern.exec(rest)?.[0] })).find(
      ({ match }) => match !== undefined,
    );
    if (found?.match === undefined) throw invalid(`it cannot be read from "${rest.slice(0, 30)}" on`);
    tokens.push({ kind: found.kind, text: found.match });
    rest = rest.slice(found.match.length).trimStart();
  }
  return tokens;
}

const bare = ({ kind, text }: Token) => (kind === 'quoted' || kind === 'text' ? text.slice(1, -1) : text);

const entityNames = ({ entities }: FilterFields) => Object.keys(entities).join(', ');

const invalid = (what: string) =>
  new CairnError('INVALID_ARGUMENT', `The filter is invalid: ${what}.`, 'filter');

/** What a clause compares: undefined where the record has no such thing. */
export type Lookup = (clause: Clause) => string | number | undefined;

/** Whether the record that `lookup` reads fulfils the clause; what is absent fulfils only `IS NULL`. */
export function fulfils(clause: Clause, lookup: Lookup): boolean {
  let test = predicates.get(clause);
  if (!test) {
    test = predicate(clause);
    predicates.set(clause, test);
  }
  return test(lookup(clause));
}

/** A tag by its name, which may be one that every object of JavaScript has. */
export const tagOf = (tags: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.hasOwn(tags, name) ? tags[name] : undefined;

type Predicate = (found: string | number | undefined) => boolean;

/** What a clause says is taken apart once, and not for every record. */
const predicates = new WeakMap<Clause, Predicate>();

/** What the clause asks of the value that it is about. */
export function predicate({ operator, value }: Clause): Predicate {
  switch (operator) {
    case 'IS NULL':
      return (found) => found === undefined;
    case 'IS NOT NULL':
      return (found) => found !== undefined;
    case '=':
      return (found) => found !== undefined && found === value;
    case '!=':
      return (found) => found !== undefined && found !== value;
    case '<':
      return (found) => found !== undefined && (found as number) < (value as number);
    case '<=':
      return (found) => found !== undefined && (found as number) <= (value as number);
    case '>':
      return (found) => found !== undefined && (found as number) > (value as number);
    case '>=':
      return (found) => found !== undefined && (found as number) >= (value as number);
    case 'LIKE': {
      const matches = like(value as string);
      return (found) => found !== undefined && matches(String(found));
    }
    case 'ILIKE': {
      const matches = like((value as string).toLowerCase());
      return (found) => found !== undefined && matches(String(found).toLowerCase());
    }
    case 'IN': {
      const values = new Set(value as readonly string[]);
      return (found) => found !== undefined && values.has(String(found));
    }
    case 'NOT IN': {
      const values = new Set(value as readonly string[]);
      return (found) => found !== undefined && !values.has(String(found));
    }
  }
}
