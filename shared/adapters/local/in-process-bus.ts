import type { DomainEvent, EventBus } from '../../ports/event-bus.ts';

export interface InProcessBus extends EventBus {
  /** Calls `listener` for each event from now on. @returns what ends the subscription */
  subscribe(listener: (event: DomainEvent) => void): () => void;
}

/** An event bus within one process; a listener that throws is reported and holds up nobody. */
export function openInProcessBus(onFault: (error: unknown, event: DomainEvent) => void): InProcessBus {
  const listeners = new Set<(event: DomainEvent) => void>();
  return {
    async publish(event) {
      for (const listener of listeners) {
        try {
          listener(event);
        } catch (error) {
          onFault(error, event);
        }
      }
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
