import stringWidth from 'string-width';
import { cutTo, paint, plain } from './output.ts';

/** What a narrow terminal does to a table. */
interface Narrow {
  /** Columns to read rather than to copy: cut first. */
  readonly cut?: readonly string[];
  /** Columns to do without, in this order, when cutting is not enough. */
  readonly drop?: readonly string[];
  /** Columns of the terminal; undefined where nobody looks, and nothing is cut or left out. */
  readonly width?: number | undefined;
}

const GAP = 2;
/** Columns that a cut cell keeps at least. */
const CUT_MIN = 12;
/** The same of cells that are there to be copied, cut when nothing else helps. */
const COPIED_MIN = 8;

/**
 * Rows in columns that line up; wide characters count as two. A cell that is undefined shows as `-`. On a terminal that is too
 * narrow for it, long cells are cut, and columns left out with a line that says which.
 */
export function table(
  header: readonly string[],
  rows: readonly (readonly (string | number | undefined)[])[],
  { cut = [], drop = [], width = process.stdout.isTTY ? process.stdout.columns : undefined }: Narrow = {},
): string {
  const cells = [
    header,
    ...rows.map((row) => row.map((cell) => plain(String(cell ?? '-')).replace(/[\t\n]+/g, ' '))),
  ];
  const columns = header.map((name, column) => ({
    name,
    column,
    width: Math.max(...cells.map((row) => stringWidth(row[column] ?? ''))),
  }));
  // A terminal that does not say how wide it is says 0.
  const { shown, dropped } = width ? fitted(columns, width, cut, drop) : { shown: columns, dropped: [] };
  const render = (row: readonly string[]) =>
    shown
      .map(({ column, width }) => padded(row[column] ?? '', width))
      .join(' '.repeat(GAP))
      .trimEnd();
  const [first = [], ...others] = cells;
  const note = `Left out: ${dropped.join(', ')} (--json has all).`;
  return [
    paint('bold', render(first)),
    ...others.map(render),
    ...(dropped.length === 0 ? [] : [paint('dim', note)]),
  ].join('\n');
}

interface Column {
  readonly name: string;
  readonly column: number;
  readonly width: number;
}

/** Cuts what may be cut, then leaves out what may be left out, then cuts what is left, as little as it takes. */
function fitted(
  columns: readonly Column[],
  width: number,
  cut: readonly string[],
  drop: readonly string[],
): { shown: readonly Column[]; dropped: string[] } {
  const dropped: string[] = [];
  let shown = columns;
  for (;;) {
    const first = narrowed(shown, width, ({ name }) => (cut.includes(name) ? CUT_MIN : undefined));
    if (totalOf(first) <= width) return { shown: first, dropped };
    const next = drop[dropped.length];
    if (next === undefined) return { shown: narrowed(first, width, () => COPIED_MIN), dropped };
    dropped.push(next);
    shown = shown.filter(({ name }) => name !== next);
  }
}

/** The widest of those with a minimum lose columns until all fit, or none can lose more. */
function narrowed(
  columns: readonly Column[],
  width: number,
  minimum: (column: Column) => number | undefined,
): readonly Column[] {
  const widths = columns.map((column) => column.width);
  for (let excess = totalOf(columns) - width; excess > 0; excess--) {
    const room = columns.map((column, at) =>
      (widths[at] ?? 0) > (minimum(column) ?? Number.POSITIVE_INFINITY) ? widths[at] : 0,
    );
    const widest = Math.max(...room.map((one) => one ?? 0));
    if (widest === 0) break;
    widths[room.indexOf(widest)] = widest - 1;
  }
  return columns.map((column, at) => ({ ...column, width: widths[at] ?? 0 }));
}

const totalOf = (columns: readonly Column[]) =>
  columns.reduce((sum, { width }) => sum + width, GAP * (columns.length - 1));

function padded(cell: string, width: number): string {
  const text = stringWidth(cell) > width ? cutTo(cell, width) : cell;
  return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
}
