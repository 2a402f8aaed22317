import { Duration } from 'aws-cdk-lib';

/**
 * How long each function may run, and a model may take. `api` streams: 200 MB, Lambda's bound, take 95 s at the gateway's 2 MB/s and longer on a
 * slow line. `verifyUpload` has Lambda's greatest, and a checkpoint carries it over that.
 */
export const TIMEOUTS = {
  api: Duration.minutes(5),
  registerUpload: Duration.minutes(5),
  verifyUpload: Duration.minutes(15),
  onAlarm: Duration.minutes(1),
  reconcile: Duration.minutes(5),
  /** One attempt takes 30 s at most, and those of a batch run at the same time. */
  deliverWebhook: Duration.minutes(2),
  authorizer: Duration.seconds(10),
  revisionFiles: Duration.seconds(30),
  /** Until a model begins to answer, and between the parts of its answer: the gateway's greatest pause. */
  inference: Duration.minutes(5),
} as const;
