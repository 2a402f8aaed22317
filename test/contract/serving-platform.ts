import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { EndpointRef, RevisionOrder, SteppedPlatform } from '../../shared/ports/serving-platform.ts';

export interface PlatformUnderTest {
  readonly platform: SteppedPlatform;
  /** One prediction through the endpoint's address. */
  predict(endpoint: EndpointRef): Promise<{ status: number; revision: number | undefined }>;
  /** An order for a model that works, or for one that never gets ready. */
  order(endpoint: EndpointRef, revision: number, replicas: number, kind?: 'good' | 'broken'): RevisionOrder;
  /** Ends one replica the hard way. */
  killReplica(endpoint: EndpointRef, revision: number): Promise<void>;
  /** What is left of the endpoint on the machine, in words. */
  remains(endpoint: EndpointRef): Promise<string[]>;
  close(): Promise<void>;
}

const WAIT = { timeout: 60_000, interval: 20 };

/** What every SteppedPlatform promises. */
export function servingPlatformContract(name: string, make: () => Promise<PlatformUnderTest>): void {
  describe(`serving platform: ${name}`, { timeout: 120_000 }, () => {
    let it: PlatformUnderTest;
    const ref: EndpointRef = { workspace: 'default', endpoint: 'digits' };

    beforeEach(async () => {
      it = await make();
    });
    afterEach(() => it.close());

    const seen = async (revision: number) =>
      (await it.platform.observe(ref)).revisions.find((one) => one.revision === revision);
    const ready = (revision: number, replicas: number) =>
      vi.waitFor(
        async () => expect(await seen(revision)).toMatchObject({ ready: replicas, desired: replicas }),
        WAIT,
      );
    const serve = async (revision: number, replicas = 1) => {
      await it.platform.start(it.order(ref, revision, replicas));
      await ready(revision, replicas);
      await it.platform.shift(ref, { [revision]: 100 });
    };

    /** Predicts with eight clients at once until `during` is done and at least `least` answers came. */
    async function underLoad(least: number, during: () => Promise<void>) {
      const answers: { status: number; revision: number | undefined }[] = [];
      let done = false;
      const clients = Array.from({ length: 8 }, async () => {
        while (!done || answers.length < least) answers.push(await it.predict(ref));
      });
      try {
        await during();
      } finally {
        done = true;
        await Promise.all(clients);
      }
      return answers;
    }

    test('observes nothing of an endpoint that nothing runs for', async () => {
      expect(await it.platform.observe(ref)).toEqual({ revisions: [], weights: {} });
      expect(await it.platform.list()).toEqual([]);
      expect((await it.predict(ref)).status).toBe(503);
    });

    test('a revision gets ready, serves once it has weight, and can be started twice', async () => {
      await it.platform.start(it.order(ref, 1, 1));
      await it.platform.start(it.order(ref, 1, 1));
      await ready(1, 1);
      expect((await it.predict(ref)).status).toBe(503);
      await it.platform.shift(ref, { 1: 100 });
      await it.platform.shift(ref, { 1: 100 });
      expect(await it.predict(ref)).toEqual({ status: 200, revision: 1 });
      expect(await it.platform.observe(ref)).toMatchObject({
        revisions: [{ revision: 1, desired: 1, ready: 1, failures: 0 }],
        weights: { 1: 100 },
      });
      expect(await it.platform.list()).toEqual([ref]);
    });

    test('refuses to send traffic to a revision that has not been started', async () => {
      await expect(it.platform.shift(ref, { 1: 100 })).rejects.toThrow('1');
    });

    test('scales in place, losing no request', async () => {
      await serve(1, 1);
      const answers = await underLoad(200, async () => {
        await it.platform.start(it.order(ref, 1, 3));
        await ready(1, 3);
        await it.platform.start(it.order(ref, 1, 1));
        await ready(1, 1);
      });
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    });

    test('splits requests by weight', async () => {
      await it.platform.start(it.order(ref, 1, 1));
      await it.platform.start(it.order(ref, 2, 1));
      await ready(1, 1);
      await ready(2, 1);
      await it.platform.shift(ref, { 1: 75, 2: 25 });
      const answers = await underLoad(2000, async () => {});
      const share = answers.filter(({ revision }) => revision === 2).length / answers.length;
      expect(share).toBeGreaterThan(0.19);
      expect(share).toBeLessThan(0.31);
    });

    test('the request after a shift goes where the shift says', async () => {
      await serve(1);
      await it.platform.start(it.order(ref, 2, 1));
      await ready(2, 1);
      for (let turn = 0; turn < 50; turn++) {
        const revision = 1 + (turn % 2);
        await it.platform.shift(ref, { [revision]: 100 });
        expect(await it.predict(ref)).toEqual({ status: 200, revision });
      }
    });

    test('a replica that is killed is replaced, and no request is lost while another one runs', async () => {
      await serve(1, 2);
      const answers = await underLoad(500, async () => {
        await it.killReplica(ref, 1);
        await vi.waitFor(async () => expect(await seen(1)).toMatchObject({ failures: 1, ready: 2 }), WAIT);
      });
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect((await seen(1))?.lastFailure).toContain('SIGKILL');
    });

    test('a rollback under load loses no request', async () => {
      await serve(1, 1);
      await it.platform.start(it.order(ref, 2, 1));
      await ready(2, 1);
      const answers = await underLoad(3000, async () => {
        await it.platform.shift(ref, { 2: 100 });
        await vi.waitFor(async () => expect((await it.predict(ref)).revision).toBe(2), WAIT);
        await it.platform.shift(ref, { 1: 100 });
        await it.platform.stop(ref, 2);
      });
      expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      expect(answers.at(-1)?.revision).toBe(1);
      expect(await seen(2)).toBeUndefined();
    });

    test('a revision that was stopped can be started again', async () => {
      await serve(1);
      await it.platform.stop(ref, 1);
      await it.platform.stop(ref, 1);
      await serve(1);
      expect(await it.predict(ref)).toEqual({ status: 200, revision: 1 });
    });

    test('a model that does not load shows as failures with their reason, and in the logs', async () => {
      await it.platform.start(it.order(ref, 1, 1, 'broken'));
      await vi.waitFor(async () => expect((await seen(1))?.failures).toBeGreaterThanOrEqual(3), WAIT);
      expect(await seen(1)).toMatchObject({
        ready: 0,
        desired: 1,
        lastFailure: expect.stringContaining('exited'),
      });
      const lines = await it.platform.logs(ref, { revision: 1, limit: 100 });
      expect(lines.some(({ message }) => message.includes('"level":"error"'))).toBe(true);
    });

    test('logs are the newest lines, oldest first, also of a revision that was stopped', async () => {
      await serve(1);
      await it.platform.stop(ref, 1);
      const lines = await it.platform.logs(ref, { limit: 1000 });
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.map(({ at }) => at)).toEqual(lines.map(({ at }) => at).sort((a, b) => a - b));
      expect(lines.every(({ revision, replica }) => revision === 1 && replica.length > 0)).toBe(true);
      const [newest] = await it.platform.logs(ref, { limit: 1 });
      expect(newest).toEqual((await it.platform.logs(ref, { limit: 1000 })).at(-1));
      expect(await it.platform.logs(ref, { revision: 9, limit: 10 })).toEqual([]);
    });

    test('withdrawing leaves nothing, and can be done twice', async () => {
      await serve(1, 2);
      await it.platform.start(it.order(ref, 2, 1));
      await it.platform.withdraw(ref);
      await it.platform.withdraw(ref);
      expect(await it.platform.observe(ref)).toEqual({ revisions: [], weights: {} });
      await vi.waitFor(async () => expect(await it.remains(ref)).toEqual([]), WAIT);
      expect(await it.platform.list()).toEqual([]);
      await it.platform.withdraw(ref);
      await serve(3);
      expect(await it.predict(ref)).toEqual({ status: 200, revision: 3 });
    });
  });
}
