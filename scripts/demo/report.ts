// What the demo prints: progress as it goes, and the table of all that was probed at the end. A row is as expected only when
// the wire did what was expected and the product, asked by `sluice explain`, says the same.

export interface Row {
  readonly group: string
  readonly probe: string
  readonly expected: string
  readonly observed: string
  /** The clause that allowed it, or the reason why nothing did. */
  readonly clause: string
  readonly ok: boolean
}

const colour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined
const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)

const started = performance.now()

/** One line of progress, with the seconds since the start. */
export function progress(what: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${paint(2, `[${seconds.padStart(5)} s]`)} ${what}\n`)
}

export function printTable(rows: readonly Row[]): void {
  const head = ['probe', 'expected', 'observed', 'clause, or why not'] as const
  const cells = rows.map((row) => [row.probe, row.expected, row.observed, row.clause] as const)
  const width = (column: 0 | 1 | 2): number =>
    Math.max(head[column].length, ...cells.map((line) => line[column].length))
  const widths = [width(0), width(1), width(2)] as const
  const line = (columns: readonly [string, string, string, string]): string =>
    `  ${columns[0].padEnd(widths[0])}  ${columns[1].padEnd(widths[1])}  ${columns[2].padEnd(widths[2])}  ${columns[3]}`
  let group = ''
  process.stdout.write(`\n${paint(1, line(head))}\n`)
  for (const [i, row] of rows.entries()) {
    if (row.group !== group) process.stdout.write(`\n${paint(1, row.group)}\n`)
    group = row.group
    const text = line(cells[i] as (typeof cells)[number])
    process.stdout.write(`${row.ok ? text : paint(31, `${text}   UNEXPECTED`)}\n`)
  }
  process.stdout.write('\n')
}

/** The last lines, and the exit status. */
export function finish(rows: readonly Row[]): number {
  const unexpected = rows.filter((row) => !row.ok)
  for (const row of unexpected)
    process.stdout.write(
      `unexpected: ${row.group}: ${row.probe}: expected ${row.expected}, observed ${row.observed} (${row.clause})\n`,
    )
  process.stdout.write(`demo: ${rows.length} probes, ${unexpected.length} unexpected\n`)
  return unexpected.length === 0 ? 0 : 1
}
