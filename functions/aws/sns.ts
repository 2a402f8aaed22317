import { SNSClient } from '@aws-sdk/client-sns';
import { openSnsEventBus, type SnsEventBusOptions } from '../../shared/adapters/aws/sns-event-bus.ts';

export const openBus = (of: Omit<SnsEventBusOptions, 'client'>) =>
  openSnsEventBus({ client: new SNSClient({}), ...of });
