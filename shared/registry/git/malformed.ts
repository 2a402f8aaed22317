import { CairnError } from '../../errors.ts';

/** Bytes that are not what Git would have written. */
export const malformed = (detail: string): CairnError => new CairnError('INVALID_ARGUMENT', detail, 'pack');
