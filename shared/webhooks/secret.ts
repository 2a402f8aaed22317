import { randomBytes } from 'node:crypto';
import * as z from 'zod';

const PREFIX = 'whsec_';

/** A secret as Standard Webhooks writes it: `whsec_` and the base64 of 24 to 64 bytes. */
export const WebhookSecret = z
  .string()
  .refine(
    (text) => text.startsWith(PREFIX) && isKey(text.slice(PREFIX.length)),
    'must be whsec_ and the base64 of 24 to 64 bytes',
  );

const isKey = (text: string) => {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length >= 24 && bytes.length <= 64 && bytes.toString('base64') === text;
};

export const newSecret = (): string => `${PREFIX}${randomBytes(32).toString('base64')}`;

/** The bytes that receivers of Standard Webhooks sign with; a secret of MLflow's, which may be any text, stands for itself. */
export const keyOf = (secret: string): string | Buffer =>
  WebhookSecret.safeParse(secret).success ? Buffer.from(secret.slice(PREFIX.length), 'base64') : secret;
