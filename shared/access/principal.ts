import * as z from 'zod';

/** Cairn's own controllers act under such names; nobody else may. */
export const SYSTEM = 'system:';

/** Whom the trusted issuer names have such names: no token of Cairn's is made for one, but by whoever it is. */
export const OIDC = 'oidc:';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what a principal must not have
const CONTROL = /[\u0000-\u001f\u007f]/;

/** The name of a person or a machine. */
export const Principal = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => name.trim() !== '' && !CONTROL.test(name), 'must not be blank or have control characters')
  .refine((name) => name.isWellFormed(), 'must be valid Unicode')
  .refine(
    (name) => !name.startsWith(SYSTEM),
    `must not begin with "${SYSTEM}", which stands for Cairn itself`,
  );
