import type { Logger } from 'pino';
import type { TrustedIssuer } from '../../shared/access/issuer.ts';
import type { AlarmService } from '../../shared/ports/alarm-service.ts';
import type { DomainEvent } from '../../shared/ports/event-bus.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import type { ServingPlatform } from '../../shared/ports/serving-platform.ts';
import type { WebhookSender } from '../../shared/ports/webhook-sender.ts';
import type { VerifyLater } from '../../shared/registry/verify-work.ts';
import type { PlatformOffer } from '../../shared/serving/platform-offer.ts';
import type { VersionSource } from '../../shared/serving/version-source.ts';
import type { VerifyWait } from './git/push-progress.ts';
import type { During } from './middleware/read-ahead.ts';

/** What the API stands on. A composition root passes it in; without an optional part its routes answer NOT_SUPPORTED. */
export interface ApiDeps {
  readonly ports: Ports;
  readonly alarms: AlarmService;
  /** Whose tokens are taken beside Cairn's own. */
  readonly issuer?: TrustedIssuer | undefined;
  /** Endpoints: what serving knows of the registry, and whose logs are shown. */
  readonly serving?: {
    readonly versions: VersionSource;
    readonly platform: Pick<ServingPlatform, 'logs'>;
    readonly offer?: PlatformOffer;
  };
  /** Where a read of the table is a call over the network: lets it read ahead. */
  readonly during?: During;
  /** Has bytes verified by somebody else, where requests are too short for it; without it the API does it at once. */
  readonly verifyLater?: VerifyLater;
  /** How long a push waits for bytes that are being verified, in milliseconds, and how often it looks. */
  readonly verifyWait?: VerifyWait;
  /** Posts to webhooks; a composition root that passes it also delivers what happens. */
  readonly webhooks?: WebhookSender;
  /** Gets one line for each request at `info`, and unexpected errors at `error`. */
  readonly logger: Pick<Logger, 'info' | 'error' | 'isLevelEnabled'>;
  readonly version: string;
  /** Origin that clients reach the service at; without it the one they asked. */
  readonly publicUrl?: string;
  /** Rejects while the service cannot do its work. */
  readonly ready?: () => Promise<void>;
  /** The process' metrics in Prometheus' text format. */
  readonly metrics?: () => Promise<string>;
  /** Calls the listener for every event from now on, until the returned function is called. */
  readonly subscribe?: (listener: (event: DomainEvent) => void) => () => void;
  /** Another number after every write of the table; without it no answer is kept. For a table that only this process writes. */
  readonly revision?: () => number;
  /** Bytes that one `git push` may be, where requests have a limit; 128 MB without it. */
  readonly pushLimit?: number;
  /** Renders the docs page; loaded when it is first asked for, so that a small function can leave it out. */
  readonly docs?: () => Promise<(document: object) => string>;
}
