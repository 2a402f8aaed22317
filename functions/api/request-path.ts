import { CairnError } from '../../shared/errors.ts';
import type { Contract } from './contract.ts';

/** A path's parts, still percent-encoded. */
const partsOf = (path: string) => path.split('/').slice(1);

/** The path of a URL as it was sent, without its query. */
export const pathOf = (url: string): string => /^(?:[a-z]+:\/\/[^/?#]*)?([^?#]*)/i.exec(url)?.[1] ?? '';

const PARAMETER = /^\{(\w+)\}$/;

/**
 * What no route can be given: a part that is empty, `.` or `..` (URL parsers take such parts away, encoded or not, and
 * the request would be another one), and percent signs that encode no UTF-8.
 * @throws CairnError `INVALID_ARGUMENT` naming the parameter, if a route would have one at that place
 */
export function refuseBrokenPath(path: string, contracts: readonly Contract[]): void {
  partsOf(path).forEach((part, index) => {
    const complaint = complaintAbout(part);
    if (complaint === undefined) return;
    const field = parameterAt(path, index, contracts);
    if (field === undefined) return;
    throw new CairnError('INVALID_ARGUMENT', `${field} ${complaint}.`, field);
  });
}

function complaintAbout(part: string): string | undefined {
  if (part === '') return 'must not be empty';
  let decoded: string;
  try {
    decoded = decodeURIComponent(part);
  } catch {
    return 'must be percent-encoded UTF-8';
  }
  return decoded === '.' || decoded === '..' ? 'must not be "." or ".."' : undefined;
}

/** The parameter that a route has at that part of the path. */
function parameterAt(path: string, index: number, contracts: readonly Contract[]): string | undefined {
  for (const contract of contracts) {
    if (!matches(contract, path)) continue;
    const pattern = partsOf(contract.path);
    const at = contract.greedy ? Math.min(index, pattern.length - 1) : index;
    const name = PARAMETER.exec(pattern[at] ?? '')?.[1];
    if (name !== undefined) return name;
  }
  return undefined;
}

/** Whether the path has the shape of the contract's, whatever its parameters are. */
export function matches(contract: Contract, path: string): boolean {
  const pattern = partsOf(contract.path);
  const parts = partsOf(path);
  const fits = contract.greedy ? parts.length >= pattern.length : parts.length === pattern.length;
  return fits && pattern.every((part, index) => PARAMETER.test(part) || part === parts[index]);
}
