import type * as z from 'zod';

/** Reads a process's settings from its environment. @throws Error with one line for each setting that is wrong */
export function parseSettings<T extends z.ZodType>(schema: T, environment: NodeJS.ProcessEnv): z.infer<T> {
  const settings = schema.safeParse(environment);
  if (settings.success) return settings.data;
  throw new Error(
    settings.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '),
  );
}
