import { ZERO_OID } from '../../../shared/registry/git/object.ts';
import { MAIN, type Ref } from '../../../shared/registry/refs.ts';
import { FLUSH, pkt } from './pkt-line.ts';

export type Service = 'git-upload-pack' | 'git-receive-pack';

/** What the server can do, in the words of Git's Documentation/gitprotocol-capabilities. */
const CAPABILITIES: Record<Service, string> = {
  'git-upload-pack':
    'multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not deepen-relative ' +
    'no-progress include-tag multi_ack_detailed no-done allow-tip-sha1-in-want allow-reachable-sha1-in-want filter',
  'git-receive-pack': 'report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta',
};

/** The refs as protocol version 0 tells them. */
export function advertisement(service: Service, refs: readonly Ref[], agent: string): Buffer {
  const symref = service === 'git-upload-pack' && refs.some(({ name }) => name === MAIN);
  const capabilities = `${CAPABILITIES[service]}${symref ? ` symref=HEAD:${MAIN}` : ''} object-format=sha1 agent=${agent}`;
  const lines: string[] = [];
  if (service === 'git-upload-pack') {
    const main = refs.find(({ name }) => name === MAIN);
    if (main) lines.push(`${main.oid} HEAD`);
  }
  for (const { name, oid, peeled } of refs) {
    lines.push(`${oid} ${name}`);
    if (peeled !== undefined && service === 'git-upload-pack') lines.push(`${peeled} ${name}^{}`);
  }
  if (lines.length === 0) lines.push(`${ZERO_OID} capabilities^{}`);
  return Buffer.concat([
    pkt(`# service=${service}\n`),
    FLUSH,
    ...lines.map((line, index) => pkt(index === 0 ? `${line}\0${capabilities}\n` : `${line}\n`)),
    FLUSH,
  ]);
}

/** What the server can do in protocol version 2. */
export function capabilitiesV2(agent: string): Buffer {
  return Buffer.concat([
    pkt('# service=git-upload-pack\n'),
    FLUSH,
    ...[
      'version 2',
      `agent=${agent}`,
      'ls-refs=unborn',
      'fetch=shallow wait-for-done filter',
      'server-option',
      'object-format=sha1',
    ].map((line) => pkt(`${line}\n`)),
    FLUSH,
  ]);
}

/** Answers `ls-refs`. Source: Git's Documentation/gitprotocol-v2. */
export function lsRefs(refs: readonly Ref[], request: readonly string[]): Buffer {
  const prefixes = request.filter((line) => line.startsWith('ref-prefix ')).map((line) => line.slice(11));
  const wanted = (name: string) =>
    prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix));
  const symrefs = request.includes('symrefs');
  const peel = request.includes('peel');
  const lines: string[] = [];
  const main = refs.find(({ name }) => name === MAIN);
  if (wanted('HEAD')) {
    const target = symrefs ? ` symref-target:${MAIN}` : '';
    if (main) lines.push(`${main.oid} HEAD${target}`);
    else if (request.includes('unborn')) lines.push(`unborn HEAD${target}`);
  }
  for (const { name, oid, peeled } of refs) {
    if (wanted(name)) lines.push(`${oid} ${name}${peel && peeled !== undefined ? ` peeled:${peeled}` : ''}`);
  }
  return Buffer.concat([...lines.map((line) => pkt(`${line}\n`)), FLUSH]);
}
