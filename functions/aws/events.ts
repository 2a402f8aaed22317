import * as z from 'zod';

/** What Lambda tells of an invocation. */
export interface Invocation {
  readonly awsRequestId: string;
  getRemainingTimeInMillis(): number;
}

/** Messages of a queue. */
export const QueueEvent = z.looseObject({
  Records: z.array(z.looseObject({ messageId: z.string(), body: z.string() })),
});

/** Messages that failed: only they come again. */
export interface BatchResult {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}

export const failures = (ids: readonly string[]): BatchResult => ({
  batchItemFailures: ids.map((itemIdentifier) => ({ itemIdentifier })),
});

/** Notifications of a topic. */
export const TopicEvent = z.looseObject({
  Records: z.array(z.looseObject({ Sns: z.looseObject({ MessageId: z.string(), Message: z.string() }) })),
});

/** The message that a CloudWatch alarm sends to a topic. */
export const AlarmMessage = z.looseObject({
  AlarmName: z.string(),
  OldStateValue: z.enum(['OK', 'ALARM', 'INSUFFICIENT_DATA']),
  NewStateValue: z.enum(['OK', 'ALARM', 'INSUFFICIENT_DATA']),
  NewStateReason: z.string(),
  StateChangeTime: z.string(),
});

/** S3's notification; the test event that it sends when the notification is set up has no records. */
export const BucketEvent = z.looseObject({
  Records: z
    .array(
      z.looseObject({
        eventName: z.string(),
        s3: z.looseObject({
          bucket: z.looseObject({ name: z.string() }),
          object: z.looseObject({
            /** URL-encoded, a space as `+`. */
            key: z.string(),
            versionId: z.string().optional(),
            eTag: z.string().optional(),
            sequencer: z.string().optional(),
          }),
        }),
      }),
    )
    .default([]),
});

export type BucketEvent = z.infer<typeof BucketEvent>;

/** A REST API's request to its authorizer. */
export const AuthorizerEvent = z.looseObject({
  methodArn: z.string(),
  headers: z.record(z.string(), z.string().nullish()).nullish(),
  pathParameters: z.looseObject({ workspace: z.string(), name: z.string() }),
  requestContext: z.looseObject({ requestId: z.string().optional() }),
});
export type AuthorizerEvent = z.infer<typeof AuthorizerEvent>;

/** A load balancer's request to a function. */
export const BalancerEvent = z.looseObject({
  httpMethod: z.string(),
  path: z.string(),
  queryStringParameters: z.record(z.string(), z.string()).nullish(),
  headers: z.record(z.string(), z.string()).nullish(),
});
