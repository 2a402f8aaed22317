/** Posts to addresses that users chose. */
export interface WebhookSender {
  /** @throws CairnError `INVALID_ARGUMENT` for an address that no webhook may have, as far as its text tells */
  check(url: string): void;
  /**
   * One POST, following no redirect. @throws WebhookRefused for an address that it may not reach; Error when there is no
   * answer
   */
  post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<WebhookAnswer>;
}

export interface WebhookAnswer {
  readonly status: number;
  /** The beginning of it. */
  readonly body: string;
  /** Seconds that it asks to wait for. */
  readonly retryAfter?: number;
}

/** The name led to an address inside the network: it is not tried again. */
export class WebhookRefused extends Error {}
