import * as z from 'zod';

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * An object whose fields may have any name that `key` takes. Unlike `z.record`, which leaves out `__proto__` without a
 * word, it keeps every field.
 */
export const anyRecord = <Value extends z.ZodType>(key: z.ZodType<string>, value: Value) =>
  z.custom<Record<string, unknown>>(isRecord, 'must be an object').transform((fields, { issues }) => {
    const kept: [string, z.output<Value>][] = [];
    for (const [name, field] of Object.entries(fields)) {
      const named = key.safeParse(name);
      const valued = value.safeParse(field);
      if (!named.success)
        issues.push({
          code: 'invalid_key',
          origin: 'record',
          issues: named.error.issues,
          input: fields,
          path: [name],
        });
      else if (!valued.success)
        for (const issue of valued.error.issues)
          issues.push({ ...issue, input: field, path: [name, ...issue.path] } as z.core.$ZodRawIssue);
      else kept.push([named.data, valued.data]);
    }
    return Object.fromEntries(kept) as Record<string, z.output<Value>>;
  });
