import * as z from 'zod';
import { anyRecord } from './any-record.ts';

const bytes = (text: string) => Buffer.byteLength(text, 'utf8');
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what a name must not have
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/u;

/** A model's name: any Unicode text of 1 to 255 bytes that can stand in a URL's path and in `name@version`. Normalised to NFC. */
export const ModelName = z
  .string()
  .refine((name) => name.isWellFormed(), 'must be valid Unicode')
  .transform((name) => name.normalize('NFC'))
  .refine((name) => name.trim() !== '', 'must not be blank')
  .refine((name) => bytes(name) <= 255, 'must be at most 255 bytes of UTF-8')
  .refine((name) => name !== '.' && name !== '..', 'must not be "." or ".."')
  .refine((name) => !/[/:]/.test(name), 'must not contain "/" or ":"')
  .refine((name) => !CONTROL.test(name), 'must not contain control characters');

/** A workspace's name: lower-case letters, digits and hyphens, 1 to 63. */
export const WorkspaceName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be 1 to 63 lower-case letters, digits or inner hyphens',
  );

/** An alias, as MLflow takes them: `latest` and what looks like a version (`v3`) are reserved. */
export const AliasName = z
  .string()
  .regex(/^[\w-]{1,255}$/, 'must be 1 to 255 letters, digits, "_" or "-"')
  .refine((alias) => !/^(latest|v?\d+)$/i.test(alias), 'must not be "latest" or look like a version');

const TAG_KEY_MAX = 250;
const TAG_VALUE_MAX = 100_000;
const TAGS_MAX_BYTES = 150_000;

/** Tags: key of 1 to 250 characters → value of at most 100,000, at most 150,000 bytes in all. */
export const Tags = anyRecord(
  z
    .string()
    .min(1)
    .max(TAG_KEY_MAX)
    .refine((key) => !CONTROL.test(key), 'must not contain control characters'),
  z.string().max(TAG_VALUE_MAX),
)
  .refine(
    (tags) =>
      Object.entries(tags).reduce((sum, [key, value]) => sum + bytes(key) + bytes(value), 0) <=
      TAGS_MAX_BYTES,
    `must be at most ${TAGS_MAX_BYTES} bytes in all`,
  )
  .meta({ type: 'object', additionalProperties: { type: 'string', maxLength: TAG_VALUE_MAX } });
export type Tags = z.infer<typeof Tags>;

export const Description = z.string().max(20_000);

/** A version's message becomes its commit's, which cannot hold NUL. */
export const Message = z
  .string()
  .max(8_000)
  .refine((message) => !message.includes('\0'), 'must not contain NUL')
  .refine((message) => message.isWellFormed(), 'must be valid Unicode');
