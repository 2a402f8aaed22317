import type * as z from 'zod';
import { CairnError } from '../../shared/errors.ts';
import { knownFields, nearest } from './did-you-mean.ts';

type Issue = z.core.$ZodIssue;

/** What is wrong with the input: the first thing that its schema does not take, by the field's path (`files.0.path`). */
export function invalidInput(error: z.ZodError, schema: z.ZodType, whole: string): CairnError {
  const issue = deepest(error.issues[0] as Issue);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const meant = nearest(key, knownFields(schema, issue.path));
    const hint = meant === undefined ? '' : ` Did you mean "${meant}"?`;
    const field = [...issue.path, key].join('.');
    return new CairnError('INVALID_ARGUMENT', `There is no field "${field}".${hint}`, field);
  }
  const field = issue.path.join('.') || whole;
  return new CairnError('INVALID_ARGUMENT', `${field} ${complaint(issue)}.`, field);
}

/** Of a union's alternatives, the one that came furthest. */
function deepest(issue: Issue, path: readonly PropertyKey[] = []): Issue {
  const here = { ...issue, path: [...path, ...issue.path] } as Issue;
  if (issue.code !== 'invalid_union') return here;
  const issues = issue.errors
    .flatMap((alternative) => alternative.slice(0, 1))
    .map((inner) => deepest(inner, here.path));
  const furthest = issues.toSorted((a, b) => b.path.length - a.path.length)[0];
  return furthest && furthest.path.length > here.path.length ? furthest : here;
}

/** The issue as the rest of a sentence that begins with the field's name. */
function complaint(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined && /received undefined/.test(issue.message)
        ? 'is required'
        : `must be ${article(issue.expected)}`;
    case 'too_small':
      if (issue.origin === 'string' || issue.origin === 'array') {
        return issue.minimum === 1
          ? 'must not be empty'
          : `must have at least ${issue.minimum} ${things(issue.origin)}`;
      }
      return `must be ${issue.inclusive ? 'at least' : 'greater than'} ${issue.minimum}`;
    case 'too_big':
      if (issue.origin === 'string' || issue.origin === 'array') {
        return `must have at most ${issue.maximum} ${things(issue.origin)}`;
      }
      return `must be ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}`;
    case 'invalid_format':
    case 'custom':
      return /^(must|is|needs|has) /.test(issue.message) ? issue.message : `is not valid: ${issue.message}`;
    case 'invalid_key':
      return `has a key that ${complaint(issue.issues[0] as Issue)}`;
    default:
      return `is not valid: ${issue.message}`;
  }
}

const things = (origin: string) => (origin === 'array' ? 'items' : 'characters');

function article(type: string): string {
  const name = type === 'record' ? 'object' : type === 'int' ? 'whole number' : type;
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}
