/** Tells other parts that something happened. Delivery is best effort: the audit trail is the record. */
export interface EventBus {
  publish(event: DomainEvent): Promise<void>;
}

/** What happened to one resource, in the words of the audit trail. */
export interface DomainEvent {
  readonly id: string;
  readonly workspace: string;
  /** `version.created`, `alias.moved`, `endpoint.rolled-back` … */
  readonly type: string;
  /** The chain the event belongs to, for example `model/<id>` or `endpoint/<workspace>/<name>`. */
  readonly resource: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly data: Record<string, unknown>;
  /** Webhooks are to be told: the change's transaction has put it into their outbox. */
  readonly inOutbox?: true;
}
