import {
  type CloudWatchClient,
  CloudWatchServiceException,
  DeleteAlarmsCommand,
  DeleteDashboardsCommand,
  GetDashboardCommand,
  PutDashboardCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
  paginateDescribeAlarms,
} from '@aws-sdk/client-cloudwatch';
import { NAMESPACE } from '../../monitoring/metrics.ts';
import type { AlarmDescription, AlarmService, Dashboard } from '../../ports/alarm-service.ts';
import { fromMetricAlarm, toMetricAlarm } from './metric-alarm.ts';
import { metricBatches } from './metric-batches.ts';
import { seriesReader } from './metric-series.ts';

export interface CloudWatchOptions {
  readonly client: CloudWatchClient;
  /** The SNS topic that every change of an alarm's state is sent to. */
  readonly topicArn?: string;
}

/** DeleteAlarms' bound. */
const ALARMS_AT_ONCE = 100;

/** The AlarmService of CloudWatch. It sees alarms on metrics of Cairn's namespace and no others of the account. */
export function openCloudWatchAlarmService({ client, topicArn }: CloudWatchOptions): AlarmService {
  return {
    putAlarm: async (alarm) => {
      await client.send(new PutMetricAlarmCommand(toMetricAlarm(alarm, topicArn)));
    },

    deleteAlarms: async (names) => {
      for (let at = 0; at < names.length; at += ALARMS_AT_ONCE) {
        const AlarmNames = names.slice(at, at + ALARMS_AT_ONCE);
        // Those that exist are deleted even if others do not.
        await client.send(new DeleteAlarmsCommand({ AlarmNames })).catch(unlessMissing);
      }
    },

    describeAlarms: async (prefix) => {
      const found: AlarmDescription[] = [];
      const input = {
        AlarmTypes: ['MetricAlarm' as const],
        ...(prefix === '' ? {} : { AlarmNamePrefix: prefix }),
      };
      for await (const { MetricAlarms = [] } of paginateDescribeAlarms({ client, pageSize: 100 }, input)) {
        found.push(...MetricAlarms.map(fromMetricAlarm).filter((alarm) => alarm !== undefined));
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    publish: async (data) => {
      for (const MetricData of metricBatches(data)) {
        await client.send(new PutMetricDataCommand({ Namespace: NAMESPACE, MetricData }));
      }
    },

    series: seriesReader(client),

    putDashboard: async (name, body) => {
      await client.send(
        new PutDashboardCommand({ DashboardName: name, DashboardBody: JSON.stringify(body) }),
      );
    },

    getDashboard: async (name) => {
      try {
        const { DashboardBody } = await client.send(new GetDashboardCommand({ DashboardName: name }));
        return DashboardBody === undefined ? undefined : (JSON.parse(DashboardBody) as Dashboard);
      } catch (error) {
        return unlessMissing(error);
      }
    },

    deleteDashboard: async (name) => {
      await client.send(new DeleteDashboardsCommand({ DashboardNames: [name] })).catch(unlessMissing);
    },
  };
}

const MISSING = new Set(['ResourceNotFound', 'ResourceNotFoundException', 'DashboardNotFoundError']);

const isMissing = (error: unknown): boolean =>
  error instanceof CloudWatchServiceException && MISSING.has(error.name);

function unlessMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}
