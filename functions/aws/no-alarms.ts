import { CairnError } from '../../shared/errors.ts';
import type { AlarmService } from '../../shared/ports/alarm-service.ts';

const refuse = async (): Promise<never> => {
  throw new CairnError('NOT_SUPPORTED', 'This installation serves no endpoints.');
};

/** Where nothing is served there is no alarm, and the functions may not even ask CloudWatch. */
export const NO_ALARMS: AlarmService = {
  describeAlarms: async () => [],
  deleteAlarms: async () => {},
  series: async () => [],
  getDashboard: async () => undefined,
  deleteDashboard: async () => {},
  putAlarm: refuse,
  publish: refuse,
  putDashboard: refuse,
};
