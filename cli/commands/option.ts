import { InvalidArgumentError } from 'commander';

/** A whole number of at least `least`, for commander. */
export const wholeNumber = (least: number) => (text: string) => {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
};

/** A number of at least 0, for commander. */
export function amount(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError('It must be a number of at least 0.');
}

/** `key=value`, again and again, for commander. */
export function keyValue(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be key=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** The same option again and again, for commander. */
export const repeated = (text: string, before: readonly string[] = []) => [...before, text];
