import type { Endpoint } from './api.ts';
import { CliError, EXIT } from './cli-error.ts';
import type { Context } from './context.ts';
import { trafficText } from './endpoint-text.ts';
import { pause } from './http.ts';
import { endpointPath } from './model-ref.ts';

const POLL_EVERY = 500;
/** So often the endpoint may stand still without being what was asked for, before that counts as an answer. */
const STILL_POLLS = 4;

/** What came of a generation of the spec. */
export type Outcome =
  | { readonly kind: 'under-way' }
  | { readonly kind: 'current' }
  /** Nothing moves, and it is not current: why. */
  | { readonly kind: 'blocked'; readonly reason: string }
  | { readonly kind: 'given-up'; readonly code: 'ROLLOUT_FAILED' | 'ROLLED_BACK'; readonly reason: string }
  | { readonly kind: 'superseded' };

/** What an endpoint's status says about a generation. */
export function outcomeOf({ generation: newest, status }: Endpoint, generation: number): Outcome {
  if (newest > generation && (status.current?.generation ?? 0) !== generation) return { kind: 'superseded' };
  if (status.observedGeneration < generation || status.phase !== 'idle') return { kind: 'under-way' };
  const { rejected, lastFailure, lastRollback, current } = status;
  if (rejected?.generation === generation) {
    const failed = lastFailure && (!lastRollback || lastFailure.at > lastRollback.at);
    const reason = (failed ? lastFailure : lastRollback)?.reason ?? 'It was given up.';
    const serves = current ? `Version ${current.version} serves.` : 'Nothing serves.';
    return {
      kind: 'given-up',
      code: failed ? 'ROLLOUT_FAILED' : 'ROLLED_BACK',
      reason: `Version ${rejected.version} was given up: ${sentence(reason)} ${serves}`,
    };
  }
  if ((current?.generation ?? 0) >= generation) return { kind: 'current' };
  const progress = status.conditions.find(({ type }) => type === 'Progressing');
  return { kind: 'blocked', reason: sentence(progress?.message || 'The endpoint does not move.') };
}

const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Polls the endpoint and says what changes, until `settled` answers something. */
export async function watch<T>(
  { client, output, signal }: Context,
  ref: { workspace: string; endpoint: string },
  options: { timeout?: number | undefined },
  settled: (endpoint: Endpoint) => T | undefined,
): Promise<{ endpoint: Endpoint; result: T }> {
  const deadline = options.timeout === undefined ? undefined : Date.now() + options.timeout * 1000;
  let said = '';
  for (;;) {
    const endpoint = await client.get<Endpoint>(endpointPath(ref));
    const words = describe(endpoint);
    if (words !== said) output.note(words);
    said = words;
    const result = settled(endpoint);
    if (result !== undefined) return { endpoint, result };
    if (deadline !== undefined && Date.now() > deadline) {
      const detail = `It is not done after ${options.timeout} seconds (${endpoint.status.phase}); it goes on.`;
      throw new CliError({ code: 'TIMEOUT', detail, fix: `See \`cairn status ${ref.endpoint} --watch\`.` });
    }
    await pause(POLL_EVERY, signal);
  }
}

function describe(endpoint: Endpoint): string {
  const { phase, candidate, conditions, observedGeneration } = endpoint.status;
  if (observedGeneration < endpoint.generation)
    return `Generation ${endpoint.generation} of the spec was taken.`;
  const moving = candidate ? `revision ${candidate.revision} with version ${candidate.version}; ` : '';
  const preparing = conditions.find(({ reason }) => reason === 'Preparing');
  if (preparing) return `preparing: ${preparing.message}`;
  return `${phase === 'idle' ? 'steady' : phase}: ${moving}traffic ${trafficText(endpoint)}`;
}

/** Waits until a generation of the spec is current. @throws CliError if it does not become so */
export async function awaitCurrent(
  context: Context,
  ref: { workspace: string; endpoint: string },
  generation: number,
  timeout: number | undefined,
): Promise<Endpoint> {
  let still = 0;
  const { endpoint, result } = await watch(context, ref, { timeout }, (endpoint) => {
    const outcome = outcomeOf(endpoint, generation);
    still = outcome.kind === 'blocked' ? still + 1 : 0;
    return outcome.kind === 'under-way' || (outcome.kind === 'blocked' && still < STILL_POLLS)
      ? undefined
      : outcome;
  });
  if (result.kind === 'current') return endpoint;
  // A program gets to see where the endpoint stands now, besides the error.
  if (context.output.json) context.output.result(endpoint, () => '');
  throw failure(ref.endpoint, result);
}

function failure(endpoint: string, outcome: Outcome): CliError {
  switch (outcome.kind) {
    case 'given-up':
      return new CliError({
        code: outcome.code,
        detail: outcome.reason,
        fix: `See \`cairn logs ${endpoint}\` and \`cairn status ${endpoint}\`.`,
      });
    case 'blocked':
      return new CliError({
        code: 'ROLLOUT_BLOCKED',
        detail: `The rollout does not begin: ${outcome.reason}`,
        fix: `See \`cairn status ${endpoint}\`.`,
      });
    default:
      return new CliError(
        {
          code: 'SUPERSEDED',
          detail: 'Someone deployed something else meanwhile.',
          fix: `See \`cairn status ${endpoint}\`.`,
        },
        EXIT.conflict,
      );
  }
}
