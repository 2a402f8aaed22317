/** A package by its name, with extras, versions and a marker: PEP 508 without addresses. */
const BY_NAME =
  /^[A-Za-z0-9][A-Za-z0-9._-]*(\s*\[[A-Za-z0-9._, -]*\])?\s*(\(?[<>=!~][^@;/\\]*\)?)?\s*(;.*)?$/;
const CONSTRAINTS = /^-c\s+(constraints\.txt)$/;

/**
 * The requirements as pip is to get them, one a line. Only packages by name are taken: an address or an option
 * could make pip read this machine's files or run a stranger's build here.
 * @param constraints text of the `constraints.txt` beside it, which MLflow may name
 * @throws Error naming the line that is not taken
 */
export function namedRequirements(
  text: string,
  constraints?: string,
): { requirements: string[]; constraints: string[] } {
  const lines = linesOf(text);
  const constrained = lines.some((line) => CONSTRAINTS.test(line));
  if (constrained && constraints === undefined)
    throw new Error('requirements.txt names constraints.txt, which is not there');
  return {
    requirements: lines.filter((line) => !CONSTRAINTS.test(line)).map(named('requirements.txt')),
    constraints: constrained ? linesOf(constraints ?? '').map(named('constraints.txt')) : [],
  };
}

const linesOf = (text: string) =>
  text
    .split(/\r?\n/)
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');

const named = (file: string) => (line: string) => {
  if (BY_NAME.test(line) && !/\s--/.test(line)) return line;
  throw new Error(
    `${file} has the line "${line.slice(0, 200)}"; only packages by name are installed, such as numpy==2.4.6`,
  );
};
