import { webhookSender } from '../../shared/adapters/webhook-sender.ts';
import type { WebhookSender } from '../../shared/ports/webhook-sender.ts';

/**
 * Posts to addresses that anybody could reach, and to no other. In a file of its own, so that the API, which only tries
 * webhooks out, has nothing of their deliveries.
 */
export const publicSender = (): WebhookSender => webhookSender({ inside: false });
