// Results as text for a terminal, and the one line that says how far a run is. Pure: colour comes in as a painter that may do
// nothing, the width of the terminal as a number. The same words as the report, since both read report/figures.ts.

import { shortOf } from './promises.js'
import { labelOf, shareOf } from './report/figures.js'
import { failedGates, untoldGates } from './report/gates.js'
import { promiseRow, SINGLE, warnings } from './report/headline.js'
import type { VerdictWord } from './report/model.js'
import { amount, duration, ratio, whole } from './report/number.js'
import type { Cell, Figure, Measurement, Results, Role } from './results.js'

type Ink = 'red' | 'green' | 'yellow' | 'dim' | 'bold'
export type Paint = (ink: Ink, text: string) => string

interface Column {
  readonly head: string
  readonly right: boolean
}

interface Shown {
  readonly text: string
  readonly ink?: Ink
}

/** What a terminal would obey, and what turns the direction of writing, is shown as its code: names come from outside. */
const plain = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)

/** Columns two spaces apart; colour is put on after they were aligned. What is beneath a row, by its number, takes whole
 * lines from the second column on. */
function aligned(
  columns: readonly Column[],
  rows: readonly (readonly Shown[])[],
  paint: Paint,
  beneath: readonly (readonly string[])[] = [],
): string {
  const safe = rows.map((row) => row.map(({ text, ...rest }) => ({ text: plain(text), ...rest })))
  const widths = columns.map(({ head }, i) => Math.max(head.length, ...safe.map((row) => row[i]?.text.length ?? 0)))
  const pad = (text: string, i: number): string => {
    const width = widths[i] ?? 0
    return columns[i]?.right ? text.padStart(width) : text.padEnd(width)
  }
  const line = (row: readonly Shown[]): string =>
    row
      .map(({ text, ink }, i) =>
        ink === undefined ? pad(text, i) : pad(text, i).replace(text, () => paint(ink, text)),
      )
      .join('  ')
      .trimEnd()
  const head = columns.map(({ head }, i) => pad(head, i)).join('  ')
  const below = (at: number): string[] =>
    (beneath[at] ?? []).map((text) => paint('dim', `${' '.repeat((widths[0] ?? 0) + 2)}${plain(text)}`))
  return [paint('dim', head.trimEnd()), ...safe.flatMap((row, at) => [line(row), ...below(at)])]
    .map((text) => `${text}\n`)
    .join('')
}

const NAMES: Readonly<Record<string, string>> = {
  empty: 'program',
  'empty-chains': 'chains',
}

const COLUMNS = [
  { head: '', right: false },
  { head: 'median', right: true },
  { head: 'interval', right: true },
  { head: 'of nothing', right: true },
  { head: 'of empty hook', right: true },
  { head: 'of by hand', right: true },
  { head: 'CPU', right: true },
  { head: 'CPU of nothing', right: true },
  { head: 'p50 us', right: true },
] as const satisfies readonly Column[]
const CPU = COLUMNS.findIndex(({ head }) => head === 'CPU')

/** A ratio with how far its interval reaches. */
function within(figure: Figure | undefined): string {
  if (figure === undefined || figure.kind === 'none') return ''
  const { middle, low, high } = figure
  return figure.kind === 'noisy' ? 'too noisy' : `${ratio(middle)} ±${ratio(Math.max(high - middle, middle - low))}`
}

/** With the name of what it is a share of, where the heading does not say it. */
function share(results: Results, cell: Cell, role: Role): string {
  const found = shareOf(results, cell, role)
  const text = within(found?.figure)
  return found === undefined || text === '' || found.to === 'none' || found.to === 'hand'
    ? text
    : `${text} ${NAMES[found.to] ?? found.to}`
}

/** Unit of CPU time by what it was spent on. */
const COSTS = [
  ['cpuSecondsPerGbit', 's/Gbit'],
  ['cpuSecondsPerMillionPackets', 's/Mpacket'],
  ['cpuSecondsPerThousandTransactions', 's/1000'],
] as const

const costOf = ({ cost }: Cell): Figure | undefined => COSTS.map(([name]) => cost?.[name]).find((one) => one)

/** A figure without its interval. */
function alone(figure: Figure | undefined): string {
  if (figure === undefined || figure.kind === 'none') return ''
  return figure.kind === 'noisy' ? 'too noisy' : amount(figure.middle)
}

function row(results: Results, cell: Cell): readonly Shown[] {
  const emulated = results.variants.some(({ name, emulated }) => name === cell.variant && emulated)
  const name = { text: `  ${labelOf(cell.variant)}${emulated ? ' (emulated)' : ''}` }
  const { figure } = cell
  if (figure.kind === 'none') return [name, { text: '–' }, { text: figure.why, ink: 'dim' }]
  const failed = cell.gates.some(({ state }) => state === 'failed')
  const ink = failed ? ('red' as const) : figure.kind === 'noisy' ? ('yellow' as const) : undefined
  return [
    name,
    { text: alone(figure), ...(ink ? { ink } : {}) },
    { text: `${amount(figure.low)} to ${amount(figure.high)}`, ink: 'dim' },
    { text: share(results, cell, 'baseline') },
    { text: share(results, cell, 'reference') },
    { text: share(results, cell, 'peer') },
    { text: alone(costOf(cell)) },
    { text: within(cell.cost?.ofBaseline) },
    { text: alone(cell.latency?.p50) },
  ]
}

/** Of the gates of RFC 9411: what failed, beside whatever figure, and of what there were too few. */
function gates(cells: readonly Cell[], paint: Paint): string {
  const failed = cells.flatMap(({ variant, gates }) => failedGates(gates).map((text) => `${labelOf(variant)}: ${text}`))
  const untold = untoldGates(cells.flatMap(({ gates }) => gates))
  return [
    ...failed.map((text) => paint('red', `  failed: ${plain(text)}`)),
    ...(untold === undefined ? [] : [paint('dim', `  ${untold}`)]),
  ]
    .map((line) => `${line}\n`)
    .join('')
}

function measured(results: Results, measurement: Measurement, paint: Paint): string {
  const { say, grants, workspaces, unit, cells } = measurement
  const where = workspaces === 1 ? '' : `, ${whole(workspaces)} workspaces`
  const title = `${plain(say)}, ${whole(grants)} grants${where} [${unit}]`
  const rows = cells.map((cell) => row(results, cell))
  const cost = COSTS.find(([name]) => cells.some((cell) => cell.cost?.[name] !== undefined))
  const columns = COLUMNS.map((column, i) => (i === CPU ? { ...column, head: `CPU ${cost?.[1] ?? ''}` } : column))
  // What has nothing in it takes no room.
  const wanted = columns.map((_, i) => i < 2 || rows.some((cells) => (cells[i]?.text ?? '') !== ''))
  const kept = <T>(list: readonly T[]): T[] => list.filter((_, i) => wanted[i])
  return `${paint('bold', title)}\n${aligned(kept(columns), rows.map(kept), paint)}${gates(cells, paint)}`
}

const VERDICTS = {
  met: { word: 'met', ink: 'green' },
  missed: { word: 'MISSED', ink: 'red' },
  open: { word: 'within noise', ink: 'yellow' },
  noisy: { word: 'too noisy', ink: 'yellow' },
  absent: { word: 'not measured', ink: 'dim' },
  slower: { word: 'slower', ink: 'red' },
  faster: { word: 'faster', ink: 'green' },
  same: { word: 'the same', ink: 'dim' },
} as const satisfies Record<VerdictWord, { word: string; ink: Ink }>

/** A few words and one figure a line; what is promised in full, and everything that was found, stand beneath. */
function promises(results: Results, paint: Paint): string {
  const rows = results.promises.map((judged): readonly Shown[] => {
    const { verdict, measured: seen, remark, emulated } = promiseRow(judged)
    const { word, ink } = VERDICTS[verdict]
    return [
      { text: word, ink },
      { text: `${shortOf(judged)}${emulated ? ' (emulated)' : ''}` },
      { text: [seen, remark].filter((part) => part !== '').join('; ') },
    ]
  })
  const beneath = results.promises.map((judged) => {
    const { say, target, rows = [] } = judged
    return [`${shortOf(judged) === say ? '' : `${say}; `}target ${target}`, ...rows.map((row) => `  ${row}`)]
  })
  const columns = ['', 'promise', 'measured'].map((head) => ({ head, right: false }))
  return `${paint('bold', 'Promises')}\n${aligned(columns, rows, paint, beneath)}${paint('dim', SINGLE)}\n`
}

/** Everything that a run found, promises last so that they are what remains on the screen. */
export function printResults(results: Results, paint: Paint): string {
  const noted = warnings(results).map((line) => `${paint('yellow', 'note')}: ${plain(line)}\n`)
  return [
    ...results.measurements.map((measurement) => measured(results, measurement, paint)),
    ...(noted.length > 0 ? [noted.join('')] : []),
    promises(results, paint),
  ].join('\n')
}

export interface Progress {
  /** What is being measured: `TCP stream, 8 flows, 1,000 grants`. */
  readonly say: string
  /** Absent where no variant is in place. */
  readonly variant?: string
  /** Of the work of the run, by the time that it is expected to take, 0 to 1. */
  readonly done: number
  readonly leftSeconds: number
}

/** One line of at most `columns` characters, without its end: the bar, the share, the time left, and what is measured. */
export function progressLine({ say, variant, done, leftSeconds }: Progress, columns: number): string {
  const share = Math.max(0, Math.min(1, done))
  const width = columns < 60 ? 10 : 24
  const bar = '#'.repeat(Math.floor(share * width)).padEnd(width, '.')
  const text = `[${bar}] ${String(Math.floor(share * 100)).padStart(3)} %  ${duration(Math.max(0, leftSeconds))} left  ${plain(say)}${variant === undefined ? '' : `, ${labelOf(variant)}`}`
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 3))}...`
}
