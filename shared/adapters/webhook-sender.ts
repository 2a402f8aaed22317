import { lookup as resolveName } from 'node:dns';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { CairnError } from '../errors.ts';
import { type WebhookAnswer, WebhookRefused, type WebhookSender } from '../ports/webhook-sender.ts';

const TIMEOUT_MS = 30_000;
const BODY_BYTES = 16_384;

/** What is not globally reachable (IANA's special-purpose registries, RFC 6890), and IPv6 that carries IPv4 in it. */
const INSIDE = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  INSIDE.addSubnet(network, bits, 'ipv4');
/** Of IPv6 only 2000::/3 is given out; of that these are not for everybody, or lead to any IPv4 address. */
for (const [network, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  INSIDE.addSubnet(network, bits, 'ipv6');
const GIVEN_OUT = new BlockList();
GIVEN_OUT.addSubnet('2000::', 3, 'ipv6');

/** Whether anybody on the internet could reach this address. */
export function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !INSIDE.check(address, 'ipv4');
  return GIVEN_OUT.check(address, 'ipv6') && !INSIDE.check(address, 'ipv6');
}

/**
 * Posts to public https addresses, or with `inside` also to private ones and over plain http. What a name resolves to is
 * looked at when the connection is made, so that a name which changes meanwhile leads nowhere else.
 */
export function webhookSender({ inside }: { readonly inside: boolean }): WebhookSender {
  const lookup: LookupFunction = (name, options, done) => {
    resolveName(name, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, '', 0);
      const found = inside ? addresses : addresses.filter(({ address }) => isPublic(address));
      const [first] = found;
      if (first === undefined || found.length < addresses.length) return done(refused(name), '', 0);
      if (options.all) done(null, found);
      else done(null, first.address, first.family);
    });
  };
  return {
    check(text) {
      const url = URL.parse(text);
      const schemes = inside ? ['https:', 'http:'] : ['https:'];
      if (url === null || !schemes.includes(url.protocol))
        throw invalid(
          `must be an address that begins with ${schemes.map((each) => `${each}//`).join(' or ')}`,
        );
      if (!inside && literalInside(url)) throw invalid('must be a public address');
      if (url.username !== '' || url.password !== '') throw invalid('must have no user name or password');
    },
    async post(text, headers, body) {
      this.check(text);
      const url = new URL(text);
      return exchange(url, headers, body, lookup);
    },
  };
}

/** A literal address is never looked up. The URL parser has already made `0x7f.1` and the like canonical. */
function literalInside({ hostname }: URL): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  return isIP(address) !== 0 && !isPublic(address);
}

const invalid = (why: string) => new CairnError('INVALID_ARGUMENT', `url ${why}.`, 'url');
const refused = (name: string) => new WebhookRefused(`${name} is not a public address`);

function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  lookup: LookupFunction,
): Promise<WebhookAnswer> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method: 'POST',
        agent: false,
        lookup,
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        let size = 0;
        const finish = () => {
          const seconds = Number(answer.headers['retry-after']);
          resolve({
            status: answer.statusCode ?? 0,
            body: Buffer.concat(chunks).subarray(0, BODY_BYTES).toString(),
            ...(seconds > 0 ? { retryAfter: seconds } : {}),
          });
        };
        answer
          .on('data', (chunk: Buffer) => {
            chunks.push(chunk);
            size += chunk.length;
            if (size < BODY_BYTES) return;
            finish();
            answer.destroy();
          })
          .once('end', finish)
          .once('error', reject);
      },
    );
    sent.once('error', reject).end(body);
  });
}
