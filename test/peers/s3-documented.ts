import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';
import { startVersitygw } from './aws-versitygw.ts';
import type { Asked, Documented } from './s3-documented-rules.ts';
import type { S3Server } from './s3-server.ts';

/** A store that judges what it is asked; `refused` has what it did not take, as `<operation>: <what>`. */
export interface DocumentedS3 extends S3Server {
  readonly refused: Set<string>;
}

/** A real store behind a proxy that refuses what the service is said not to take. Signatures are checked by the store. */
export async function startDocumented(service: Documented): Promise<DocumentedS3> {
  const store = await startVersitygw({ region: service.region });
  const refused = new Set<string>();
  /** Sizes of parts by upload and number. */
  const sizes = new Map<string, number>();

  const refuse = (answer: ServerResponse, status: number, code: string, what: string) => {
    refused.add(what);
    const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${what}</Message></Error>`;
    answer.writeHead(status, { 'content-type': 'application/xml', connection: 'close' }).end(xml);
  };

  const handle = async (asking: IncomingMessage, answer: ServerResponse) => {
    const asked = askedOf(asking);
    const { operation, query } = asked;
    if (!service.operations.includes(operation))
      return refuse(answer, 501, 'NotImplemented', `${operation}: the operation`);
    const rule = service.rules.find(({ when }) => when(asked));
    if (rule) return refuse(answer, rule.status, rule.code, `${operation}: ${rule.refused}`);
    if (service.ignoresPutConditions && operation === 'PutObject' && asked.headers['if-none-match']) {
      const [, bucket = '', key = ''] = /^\/([^/]+)\/(.+)$/.exec(decodeURIComponent(pathOf(asking))) ?? [];
      const put = new PutObjectCommand({ Bucket: bucket, Key: key, Body: await buffer(asking) });
      const { ETag = '' } = await store.client.send(put);
      answer.writeHead(200, { etag: ETag }).end();
      return;
    }
    const upload = query.get('uploadId');
    if (operation === 'UploadPart')
      sizes.set(`${upload} ${query.get('partNumber')}`, Number(asking.headers['content-length']));
    const body = operation === 'CompleteMultipartUpload' ? await buffer(asking) : undefined;
    if (body && service.partsOfOneSize) {
      const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)</g)].map(([, number]) => number);
      const given = numbers.map((number) => sizes.get(`${upload} ${number}`) ?? 0);
      const [first = 0] = given;
      const isEven = given.every((size, index) =>
        index === given.length - 1 ? size <= first : size === first,
      );
      // https://github.com/tus/tusd/issues/1137
      if (!isEven) return refuse(answer, 400, 'InvalidPart', `${operation}: parts of several sizes`);
    }
    // An expectation of `100 Continue` has been met here.
    const { expect: _, ...headers } = asking.headers;
    const on = request(`${store.endpoint}${asking.url}`, { method: asking.method, headers });
    on.once('response', (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
    });
    on.once('error', () => answer.destroy());
    if (body) on.end(body);
    else asking.pipe(on);
  };

  const proxy = createServer((asking, answer) => {
    handle(asking, answer).catch(() => answer.destroy());
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const { region } = service;
  const client = openS3Client({ endpoint, region, pathStyle: true, credentials: store.credentials });
  const close = async () => {
    client.destroy();
    proxy.close();
    proxy.closeAllConnections();
    await store.close();
  };
  return { ...store, client, endpoint, refused, close, [Symbol.asyncDispose]: close };
}

const pathOf = ({ url = '' }: IncomingMessage) => url.split('?')[0] ?? '';

function askedOf(asking: IncomingMessage): Asked {
  const query = new URLSearchParams(asking.url?.split('?')[1] ?? '');
  const headers = asking.headers as Record<string, string>;
  const { authorization = '' } = headers;
  const signed = query.get('X-Amz-SignedHeaders') ?? /SignedHeaders=([^,]+)/.exec(authorization)?.[1] ?? '';
  const scope = query.get('X-Amz-Credential') ?? /Credential=([^,]+)/.exec(authorization)?.[1] ?? '';
  const hasKey = /^\/[^/]+\/./.test(pathOf(asking));
  const operation = operationOf(asking.method ?? '', hasKey, query, 'x-amz-copy-source' in headers);
  return { operation, headers, query, signed: signed.split(';'), region: scope.split('/')[2] };
}

function operationOf(method: string, hasKey: boolean, query: URLSearchParams, copies: boolean): string {
  const unknown = [...query.keys()].find((name) => NAMED_BY.includes(name));
  if (unknown) return `${method} ?${unknown}`;
  if (!hasKey) {
    if (method === 'GET' && query.has('uploads')) return 'ListMultipartUploads';
    return method === 'GET' && query.get('list-type') === '2' ? 'ListObjectsV2' : `${method} of a bucket`;
  }
  const inParts = query.has('uploadId');
  if (method === 'PUT' && copies) return inParts ? 'UploadPartCopy' : 'CopyObject';
  if (method === 'POST') return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload';
  return (inParts ? WITH_PARTS : WITH_OBJECTS)[method] ?? method;
}

const WITH_OBJECTS: Readonly<Record<string, string>> = {
  DELETE: 'DeleteObject',
  GET: 'GetObject',
  HEAD: 'HeadObject',
  PUT: 'PutObject',
};
const WITH_PARTS: Readonly<Record<string, string>> = {
  DELETE: 'AbortMultipartUpload',
  GET: 'ListParts',
  PUT: 'UploadPart',
};

/** Parameters that make a request one that Cairn has no use for. */
const NAMED_BY = ['acl', 'attributes', 'legal-hold', 'retention', 'tagging', 'torrent', 'versions', 'delete'];
