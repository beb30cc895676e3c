// What the files of bench/ found, in the two sections that they belong to: how fast a change takes effect, and the rest (storage,
// decisions, audit, memory). Their distributions are drawn side by side by unit, everything else is a table of their own words.

import type { BenchSeen, Results, Series } from '../results.js'
import { alike } from './alike.js'
import type { Look, Ranges, Section, TableView } from './model.js'
import { amount, whole } from './number.js'

/** Benches of changes: from a command to what it does. */
const CHANGES: ReadonlySet<string> = new Set([
  'agent',
  'attach',
  'dns',
  'learn',
  'nftables',
  'quarantine',
  'revocation',
])

function lookIn(name: string, emulated: boolean): Look {
  if (emulated) return 'emulated'
  const first = /^(ebpf|nftables)\b/i.exec(name)?.[1]?.toLowerCase()
  return first === 'ebpf' ? 'ebpf' : first === 'nftables' ? 'nft' : 'other'
}

const quantile = ({ quantiles }: Series, percent: number): number | null =>
  quantiles.find((one) => one.percent === percent)?.value ?? null

const TIMES: ReadonlySet<string> = new Set(['ns', 'us', 'ms', 's'])

/** One figure a unit of time, each series with its own limit, if it has one, and its slow end by the name that it deserves. */
export function rangesOf(benches: readonly BenchSeen[]): readonly Ranges[] {
  const rows = benches.flatMap(({ name: bench, emulated, series }) =>
    series.flatMap((one) => {
      const [p50, p99, max] = [quantile(one, 50), quantile(one, 99), quantile(one, 100)]
      if (p50 === null || max === null || !TIMES.has(one.unit) || !(p50 > 0)) return []
      const slow = p99 === null ? `longest (of ${whole(one.count)}) ${amount(max)}` : `p99 ${amount(p99)}`
      return {
        unit: one.unit,
        row: {
          name: `${bench}: ${one.name}`,
          look: lookIn(one.name, emulated),
          emulated,
          p50,
          p99,
          max,
          text: `p50 ${amount(p50)}, ${slow}`,
          promised: one.limit ?? null,
        },
      }
    }),
  )
  return alike(rows, ({ unit }) => unit).map((members) => ({
    title: 'From a command to its effect',
    note: 'Upright tick: median. Thick to the 99th percentile of a hundred and more, thin to the slowest. Dashed: what is promised of that series, of its p99 or of the longest of fewer. Logarithmic.',
    unit: members[0]?.unit ?? '',
    rows: members.map(({ row }) => row),
  }))
}

const STATES = { done: '', failed: 'failed', skipped: 'skipped' } as const satisfies Record<BenchSeen['state'], string>

function words(benches: readonly BenchSeen[]): TableView {
  return {
    caption: 'In the words of each bench; one command runs it alone',
    head: ['Promise', 'Target', 'Measured', 'Command'],
    rows: benches.map(({ promise, target, figure, rows, met, state, why, emulated, command }) => ({
      look: null,
      emulated,
      cells: [
        { text: promise },
        { text: target },
        {
          text: figure ?? STATES[state],
          ...(why === undefined ? {} : { asides: [why] }),
          ...(rows === undefined ? {} : { rows }),
          ...(met === undefined ? {} : { tone: met ? ('good' as const) : ('bad' as const) }),
        },
        { text: command },
      ],
    })),
  }
}

function quantiles(benches: readonly BenchSeen[]): TableView | null {
  const rows = benches.flatMap(({ name, emulated, series }) =>
    series.map((one) => ({
      look: null,
      emulated,
      cells: [
        { text: `${name}: ${one.name}, ${one.unit}` },
        ...[50, 90, 99, 100].map((percent) => {
          const value = quantile(one, percent)
          return { text: value === null ? '–' : amount(value) }
        }),
        { text: whole(one.count) },
      ],
    })),
  )
  if (rows.length === 0) return null
  return { caption: 'Distributions', head: ['Series', '50 %', '90 %', '99 %', 'max', 'count'], rows }
}

export function benchSections({ benches }: Results): readonly Section[] {
  const section = (id: string, question: string, members: readonly BenchSeen[]): Section[] => {
    const spread = quantiles(members)
    return members.length === 0
      ? []
      : [
          {
            id,
            question,
            answer: null,
            note: '',
            plots: [],
            ranges: rangesOf(members),
            tables: [words(members), ...(spread === null ? [] : [spread])],
          },
        ]
  }
  return [
    ...section(
      'change',
      'How fast does a change take effect?',
      benches.filter(({ name }) => CHANGES.has(name)),
    ),
    ...section(
      'areas',
      'Storage, decisions, audit, memory',
      benches.filter(({ name }) => !CHANGES.has(name)),
    ),
  ]
}
