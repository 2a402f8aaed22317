import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AlarmDescription, AlarmNotification, Dashboard } from '../../ports/alarm-service.ts';
import { parseFile } from './durable-file.ts';

const FORMAT = 1;

/** What an alarm engine keeps over a restart. */
interface AlarmFileContent {
  readonly alarms: Map<string, AlarmDescription>;
  readonly dashboards: Map<string, Dashboard>;
  /** State changes that are still to be sent, oldest first. */
  readonly undelivered: AlarmNotification[];
}

interface AlarmFile {
  /** Changed in place by its owner, who then saves. */
  readonly content: AlarmFileContent;
  /** Resolves when the content as it is now, or newer, is durable. Calls that wait at the same time share one write. */
  save(): Promise<void>;
}

/**
 * Opens the file, or begins an empty one; without a path nothing is kept. A file is replaced as a whole, so that a
 * crash leaves the old or the new one.
 * @throws Error when the file is of a newer format
 */
export async function openAlarmFile(path: string | undefined): Promise<AlarmFile> {
  const content = path === undefined ? empty() : await read(path);
  if (path === undefined) return { content, save: async () => {} };
  let writing: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;
  return {
    content,
    save() {
      next ??= writing
        .catch(() => undefined)
        .then(() => {
          next = undefined;
          writing = write(path, content);
          return writing;
        });
      return next;
    },
  };
}

interface Stored {
  readonly format: number;
  readonly alarms: readonly AlarmDescription[];
  readonly dashboards: Record<string, Dashboard>;
  readonly undelivered: AlarmFileContent['undelivered'];
}

const empty = (): AlarmFileContent => ({ alarms: new Map(), dashboards: new Map(), undelivered: [] });

async function read(path: string): Promise<AlarmFileContent> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return empty();
    throw error;
  }
  const stored = parseFile(path, text) as Stored;
  if (stored.format !== FORMAT) {
    throw new Error(`${path} has format ${stored.format}; this version of Cairn reads format ${FORMAT}.`);
  }
  return {
    alarms: new Map(stored.alarms.map((alarm) => [alarm.name, alarm])),
    dashboards: new Map(Object.entries(stored.dashboards)),
    undelivered: stored.undelivered,
  };
}

async function write(path: string, { alarms, dashboards, undelivered }: AlarmFileContent): Promise<void> {
  const text = JSON.stringify({
    format: FORMAT,
    alarms: [...alarms.values()],
    dashboards: Object.fromEntries(dashboards),
    undelivered,
  });
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.new`;
  await using file = await open(draft, 'w', 0o600);
  await file.writeFile(text);
  await file.sync();
  await rename(draft, path);
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}
