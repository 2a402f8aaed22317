/**
 * SQL's LIKE on the whole text: `%` stands for any run of characters, `_` for one. What stands between two `%` is looked
 * for once, from where the one before ended, so that no pattern takes more than length × length steps.
 */
export function like(pattern: string): (text: string) => boolean {
  const [first = '', ...parts] = pattern.split('%');
  const last = parts.pop();
  if (last === undefined) return (text) => text.length === first.length && standsAt(text, first, 0);
  const middle = parts.filter((part) => part !== '');
  return (text) => {
    const end = text.length - last.length;
    if (end < first.length || !standsAt(text, first, 0) || !standsAt(text, last, end)) return false;
    let at = first.length;
    for (const part of middle) {
      const found = find(text, part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}

function find(text: string, part: string, from: number): number {
  if (!part.includes('_')) return text.indexOf(part, from);
  for (let at = from; at + part.length <= text.length; at++) if (standsAt(text, part, at)) return at;
  return -1;
}

function standsAt(text: string, part: string, at: number): boolean {
  for (let index = 0; index < part.length; index++)
    if (part[index] !== '_' && part[index] !== text[at + index]) return false;
  return true;
}
