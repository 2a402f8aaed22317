import type { Alarm, Endpoint } from './api.ts';
import { fields, when } from './output.ts';
import { table } from './table.ts';

export const targetText = ({ target }: Endpoint['spec']) =>
  'version' in target ? `version ${target.version}` : `alias ${target.alias}`;

export const trafficText = ({ status }: Endpoint) =>
  status.traffic.map(({ version, percent }) => `${percent} % version ${version}`).join(', ') || 'none';

/** The alarms of one endpoint and its revisions: `cairn/<workspace>/<endpoint>/…`. */
export const alarmsOf = (
  { workspace, name }: Pick<Endpoint, 'workspace' | 'name'>,
  alarms: readonly Alarm[],
) => alarms.filter((alarm) => alarm.name.startsWith(`cairn/${workspace}/${name}/`));

export function endpointTable(endpoints: readonly Endpoint[], alarms: readonly Alarm[]): string {
  return table(
    ['ENDPOINT', 'MODEL', 'WANTED', 'PHASE', 'TRAFFIC', 'READY', 'ALARMS', 'UPDATED'],
    endpoints.map((endpoint) => [
      endpoint.name,
      endpoint.spec.model,
      targetText(endpoint.spec),
      endpoint.status.phase,
      trafficText(endpoint),
      endpoint.status.conditions.find(({ type }) => type === 'Ready')?.status ? 'yes' : 'no',
      alarmSummary(alarmsOf(endpoint, alarms)),
      when(endpoint.updatedAt),
    ]),
    { cut: ['TRAFFIC'], drop: ['UPDATED', 'READY', 'WANTED', 'MODEL'] },
  );
}

function alarmSummary(alarms: readonly Alarm[]): string {
  const firing = alarms.filter(({ state }) => state === 'ALARM').length;
  if (firing > 0) return `${firing} in ALARM`;
  return alarms.some(({ state }) => state === 'OK') ? 'OK' : 'no data';
}

/** Everything about one endpoint that a person on call wants to see first. */
export function endpointText(endpoint: Endpoint, alarms: readonly Alarm[]): string {
  const { name, spec, status, generation, url } = endpoint;
  const { current, previous, candidate, lastRollback, lastFailure } = status;
  const revision = (one: typeof current) =>
    one && `revision ${one.revision}: version ${one.version}, ${one.ready} of ${one.desired} replicas ready`;
  const strategy =
    spec.strategy.type === 'canary'
      ? `canary ${spec.strategy.canaryPercent} % for ${spec.strategy.canarySeconds} s, then ${spec.strategy.bakeSeconds} s of bake`
      : `all at once, ${spec.strategy.bakeSeconds} s of bake`;
  const lines = [
    fields([
      ['Endpoint', name],
      ['Address', url],
      ['Model', `${spec.model}, ${targetText(spec)}`],
      [
        'Generation',
        status.observedGeneration < generation
          ? `${generation} (not seen by the controller yet)`
          : generation,
      ],
      ['Strategy', strategy],
      [
        'Phase',
        status.phaseSince === undefined ? status.phase : `${status.phase} since ${when(status.phaseSince)}`,
      ],
      ['Traffic', trafficText(endpoint)],
      ['Current', revision(current)],
      ['Candidate', revision(candidate)],
      ['Previous', revision(previous)],
      [
        'Last rollback',
        lastRollback &&
          `${when(lastRollback.at)}, from version ${lastRollback.from.version} to ${lastRollback.to.version}, by ${lastRollback.by}: ${lastRollback.reason}`,
      ],
      [
        'Last failure',
        lastFailure && `${when(lastFailure.at)}, version ${lastFailure.version}: ${lastFailure.reason}`,
      ],
    ]),
  ];
  if (status.conditions.length > 0) {
    const rows = status.conditions.map(({ type, status, reason, message }) => [
      type,
      String(status),
      reason,
      message,
    ]);
    lines.push(
      '',
      table(['CONDITION', 'STATUS', 'REASON', 'MESSAGE'], rows, { cut: ['MESSAGE'], drop: ['REASON'] }),
    );
  }
  if (alarms.length > 0) {
    const rows = alarms.map(({ name, state, stateUpdatedAt, stateReason }) => [
      name.split('/').slice(3).join('/'),
      state,
      when(stateUpdatedAt),
      stateReason,
    ]);
    lines.push('', table(['ALARM', 'STATE', 'SINCE', 'REASON'], rows, { cut: ['REASON'], drop: ['SINCE'] }));
  }
  return lines.join('\n');
}
