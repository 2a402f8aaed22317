import * as z from 'zod';

/** A bucket that has the bytes, as CAIRN_BLOB_STORE names it. */
export interface BlobLocation {
  readonly bucket: string;
  /** `` or a path that ends with `/`. */
  readonly prefix: string;
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** `<endpoint>/<bucket>/<key>` instead of a host name for each bucket. */
  readonly forcePathStyle: boolean;
}

const PARAMETERS = ['endpoint', 'region', 'forcePathStyle'];
const FORM = 's3://<bucket>[/<prefix>][?endpoint=https://…&region=…&forcePathStyle=true]';

/** `s3://bucket/prefix?endpoint=…&region=…&forcePathStyle=…`: Litestream's form, and the AWS SDK's names. */
export const BlobLocation = z.string().transform((text, context): BlobLocation => {
  const read = readLocation(text);
  if (typeof read !== 'string') return read;
  context.addIssue({ code: 'custom', message: read });
  return z.NEVER;
});

/** How a location is told to people: never with more than names it. */
export const locationText = ({ bucket, prefix, endpoint }: BlobLocation): string =>
  `s3://${bucket}/${prefix}`.replace(/\/$/, '') + (endpoint === undefined ? '' : ` at ${endpoint}`);

/** @returns the location, or what is wrong with it */
function readLocation(text: string): BlobLocation | string {
  const url = URL.parse(text);
  if (url?.protocol !== 's3:') return `must be ${FORM}`;
  if (url.username || url.password)
    return 'must not have credentials in it: they are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or come as for any AWS SDK';
  const bucket = url.host;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    return `names the bucket "${bucket}"; a name has 3 to 63 lower-case letters, digits, "-" or "."`;
  const path = url.pathname.replace(/^\/|\/$/g, '');
  if (path !== '' && !/^(?!.*(^|\/)\.{1,2}(\/|$))[\w.-]+(\/[\w.-]+)*$/.test(path))
    return `has the prefix "${path}"; it may have letters, digits, "_", "-", "." and "/"`;
  // Of a Cairn that has the bucket without a prefix, all is below it.
  if (path.split('/')[0] === 'workspaces')
    return 'has a prefix that begins with "workspaces": choose another';
  const given = [...url.searchParams.keys()];
  const odd = given.find((name, index) => !PARAMETERS.includes(name) || given.indexOf(name) !== index);
  if (odd !== undefined) return `has the parameter "${odd}"; it may have ${PARAMETERS.join(', ')}, each once`;
  const endpoint = url.searchParams.get('endpoint') ?? undefined;
  if (endpoint !== undefined && !isOrigin(endpoint))
    return `has the endpoint "${endpoint}"; it must be an address such as https://storage.example.com`;
  const style = url.searchParams.get('forcePathStyle') ?? String(endpoint !== undefined);
  if (style !== 'true' && style !== 'false') return 'has a forcePathStyle that is neither true nor false';
  return {
    bucket,
    prefix: path === '' ? '' : `${path}/`,
    endpoint: endpoint?.replace(/\/$/, ''),
    region: url.searchParams.get('region') ?? undefined,
    forcePathStyle: style === 'true',
  };
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  const hasMore = url?.username || url?.password || url?.search || url?.hash;
  return (url?.protocol === 'https:' || url?.protocol === 'http:') && !hasMore;
}
