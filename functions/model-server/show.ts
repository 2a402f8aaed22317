const MOST = 60;

/** What a client sent, for a sentence that says what is wrong with it: JSON, shortened. */
export function show(value: unknown): string {
  if (value === undefined) return 'missing';
  // JSON.parse makes Infinity of numbers like 1e999.
  if (value === Number.POSITIVE_INFINITY) return 'a number beyond 1.8e308';
  if (Array.isArray(value) && value.some((element) => typeof element === 'object' && element !== null)) {
    // Not written out: it may be nested deeper than JSON.stringify can go.
    return `an array of ${value.length} with arrays or objects in it`;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return 'an object';
  const text = Array.isArray(value) ? JSON.stringify(value.slice(0, MOST)) : JSON.stringify(value);
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text;
}
