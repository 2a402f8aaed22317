import type { Strategy } from './endpoint-spec.ts';
import type { Cause, Revision, RolloutEvent } from './rollout.ts';

/** One rollout, or one rollback of a revision that had finished its bake, kept for ever. */
export interface RolloutRecord {
  readonly format: 1;
  readonly rollout: number;
  readonly kind: 'rollout' | 'rollback';
  readonly from?: RevisionLabel;
  readonly to: RevisionLabel;
  readonly strategy?: Strategy;
  /** Who or what asked for it. */
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly outcome?: 'succeeded' | 'failed' | 'superseded' | 'rolled-back';
  readonly reason?: string;
  readonly alarm?: string;
}

export interface RevisionLabel {
  readonly revision: number;
  readonly version: number;
}

/** The record after an event; undefined if the event does not change it. */
export function recordEvent(
  before: RolloutRecord | undefined,
  event: RolloutEvent,
  context: { by: string; now: number },
): RolloutRecord | undefined {
  const { now, by } = context;
  const base = { format: 1, rollout: event.rollout, startedAt: before?.startedAt ?? now } as const;
  switch (event.type) {
    case 'rollout-started':
      return { ...base, kind: 'rollout', ...fromTo(event), strategy: event.strategy, by };
    case 'traffic-shifted':
      return undefined;
    case 'rolled-out':
      return before && { ...before, endedAt: now, outcome: 'succeeded' };
    case 'rollout-failed':
    case 'rollout-superseded':
      return (
        before && {
          ...before,
          endedAt: now,
          outcome: event.type === 'rollout-failed' ? 'failed' : 'superseded',
          reason: event.reason,
        }
      );
    case 'rollback-started':
      return before ?? { ...base, kind: 'rollback', ...fromTo(event), ...why(event.cause) };
    case 'rolled-back':
      return {
        ...(before ?? { ...base, kind: 'rollback', ...fromTo(event), by: event.cause.by }),
        endedAt: now,
        outcome: before?.kind === 'rollout' ? 'rolled-back' : 'succeeded',
        reason: event.cause.reason,
        ...(event.cause.alarm === undefined ? {} : { alarm: event.cause.alarm }),
      };
  }
}

const why = ({ by, reason, alarm }: Cause) => ({ by, reason, ...(alarm === undefined ? {} : { alarm }) });

const labelOf = ({ revision, template }: Revision): RevisionLabel => ({
  revision,
  version: template.version,
});

const fromTo = ({ from, to }: { from?: Revision; to: Revision }) => ({
  ...(from && { from: labelOf(from) }),
  to: labelOf(to),
});
