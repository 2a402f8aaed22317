import type { Ports } from '../../shared/ports/ports.ts';

/** The same ports; before call number `at` to the table or the blob store, `then` happens. */
export function interrupted(
  of: Ports,
  at: number,
  then: () => Promise<unknown>,
): { ports: Ports; calls(): number } {
  let calls = 0;
  const watched = <T extends object>(port: T): T =>
    new Proxy(port, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return async (...parameters: unknown[]) => {
          if (calls++ === at) await then();
          return value.apply(target, parameters);
        };
      },
    });
  return { ports: { ...of, table: watched(of.table), blobs: watched(of.blobs) }, calls: () => calls };
}
