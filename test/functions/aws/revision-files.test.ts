import { afterEach, beforeEach, expect, test } from 'vitest';
import { reconciler } from '../../../functions/aws/reconcile.ts';
import { revisionFilesDoor } from '../../../functions/aws/revision-files.ts';
import { registeredVersions } from '../../../shared/serving/registered-versions.ts';
import { filesToken } from '../../../shared/serving/revision-files.ts';
import { asRole, type FunctionPorts, invocation, openFunctionPorts, queueEvent } from './aws-fixture.ts';
import { openRecordedServing, REF } from './served-endpoint.ts';

let ports: FunctionPorts;
let served: ReturnType<typeof openRecordedServing>;
beforeEach(async () => {
  ports = await openFunctionPorts();
  served = openRecordedServing(ports);
  await served.endpoint();
  await reconciler({ ...asRole('reconcile', ports), serving: served.serving })(
    queueEvent({ endpoint: REF }),
    invocation(),
  );
});
afterEach(() => ports.close());

const role = () => asRole('revision-files', ports);

/** Source: docs.aws.amazon.com/lambda/latest/dg/services-alb.html, "Application Load Balancer request event". */
const ask = (authorization: string) =>
  revisionFilesDoor({ ...role(), versions: registeredVersions(role()) })(
    {
      requestContext: {
        elb: { targetGroupArn: 'arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/files/1' },
      },
      httpMethod: 'GET',
      path: '/revisions/default/digits/1/files',
      queryStringParameters: {},
      headers: { accept: '*/*', authorization, host: 'internal-cairn.us-east-1.elb.amazonaws.com:8081' },
      body: '',
      isBase64Encoded: false,
    },
    invocation(),
  );

test('a task with its revision’s token is told where its files are', async () => {
  const token = await filesToken(ports.keys, { ...REF, revision: 1 });
  const { statusCode, body, isBase64Encoded } = await ask(`Bearer ${token}`);
  expect([statusCode, isBase64Encoded]).toEqual([200, false]);
  const [file] = JSON.parse(body).files;
  expect(file).toMatchObject({ path: 'model.onnx', sha256: expect.any(String) });
  expect((await fetch(file.url)).status).toBe(200);
  expect(JSON.stringify(ports.lines)).not.toContain(token);
});

test('nobody else is', async () => {
  const other = await filesToken(ports.keys, { ...REF, revision: 2 });
  expect([(await ask('')).statusCode, (await ask(`Bearer ${other}`)).statusCode]).toEqual([401, 401]);
});
