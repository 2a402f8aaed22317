import { setTimeout as pause } from 'node:timers/promises';

/** Real images (64 intensities each) and the digits they show. */
export interface DigitsTest {
  readonly images: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

/** What clients saw since traffic was started. */
export interface TrafficReport {
  readonly byVersion: Readonly<Record<number, number>>;
  readonly failed: number;
  readonly failedByVersion: Readonly<Record<number, number>>;
}

export interface Traffic {
  /** Clients begin to send images, one after the other. */
  start(): void;
  /** They stop. */
  pause(): Promise<TrafficReport>;
  /** The share of all test images that the endpoint recognises, 0 to 1. @throws Error when one is not answered */
  accuracy(): Promise<number>;
}

const CLIENTS = 3;
/** Between two requests of a client, so that the machine has room for the rest of the story. */
const BETWEEN_MS = 15;

/** Clients of a digits endpoint that speak the Open Inference Protocol. */
export function startTraffic(endpoint: string, token: string, test: DigitsTest): Traffic {
  let running: Promise<unknown> | undefined;
  let stopped = true;
  let counts = emptyCounts();

  async function ask(
    image: readonly number[],
  ): Promise<{ version: number; ok: boolean; label: number | undefined }> {
    const answer = await fetch(`${endpoint}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 64], data: image }] }),
    });
    const body = (await answer.json()) as { outputs?: { name: string; data: number[] }[] };
    const label = body.outputs?.find(({ name }) => name === 'label')?.data[0];
    return { version: Number(answer.headers.get('cairn-version')), ok: answer.ok, label };
  }

  async function client(offset: number): Promise<void> {
    for (let n = offset; !stopped; n += CLIENTS) {
      const { version, ok } = await ask(test.images[n % test.images.length] ?? []);
      counts.byVersion[version] = (counts.byVersion[version] ?? 0) + 1;
      if (!ok) {
        counts.failed++;
        counts.failedByVersion[version] = (counts.failedByVersion[version] ?? 0) + 1;
      }
      await pause(BETWEEN_MS);
    }
  }

  return {
    start() {
      counts = emptyCounts();
      stopped = false;
      running = Promise.all(Array.from({ length: CLIENTS }, (_, offset) => client(offset)));
    },
    async pause() {
      stopped = true;
      await running;
      return counts;
    },
    async accuracy() {
      let right = 0;
      for (const [n, image] of test.images.entries()) {
        const { ok, label } = await ask(image);
        if (!ok) throw new Error(`image ${n} was not answered`);
        if (label === test.labels[n]) right++;
      }
      return right / test.images.length;
    },
  };
}

const emptyCounts = () => ({
  byVersion: {} as Record<number, number>,
  failed: 0,
  failedByVersion: {} as Record<number, number>,
});
