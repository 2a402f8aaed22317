/** Tells a line of the story. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

let number = 0;

/** Begins the next scene. */
export function scene(title: string): void {
  number++;
  say(`\n${number}. ${title}`);
}

/** Says what is to be true at this step. @throws Error when it is not */
export function stepIs(statement: string, holds: boolean): void {
  if (!holds) throw new Error(`it is not so that ${statement}.`);
  say(`  ✓ ${statement}`);
}
