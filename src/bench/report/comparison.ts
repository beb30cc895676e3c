// Two runs side by side as a report: what got slower or faster beyond noise first, what was too noisy to tell after it, and every
// quotient in a table. Drawn like a report of one run (page.ts); the line in the middle of a mark is no change.

import type { Compared, Comparison } from '../compare.js'
import type { Results } from '../results.js'
import { machineFacts, runFacts } from './build.js'
import { labelOf } from './figures.js'
import { againstTarget, MARK, subtitle, warnings } from './headline.js'
import type { HeadRow, Report, Section, VerdictWord } from './model.js'
import { amount, capital, ratio, whole } from './number.js'

const WORDS = {
  slower: 'slower',
  faster: 'faster',
  same: 'same',
  'too-noisy': 'noisy',
} as const satisfies Record<Compared['verdict'], VerdictWord>

const change = (quotient: number): string => `${quotient >= 1 ? '+' : ''}${((quotient - 1) * 100).toFixed(1)} %`

const value = (what: Compared['what'], number: number): string =>
  what.includes('share') ? ratio(number) : `${amount(number)}${what.startsWith('latency') ? ' us' : ''}`

/** By how much it got worse: the worst first, whichever way the unit goes. */
const worse = ({ quotient, better, gone }: Compared): number =>
  gone !== undefined || quotient.middle === 0
    ? Number.MAX_VALUE
    : better === 'higher'
      ? 1 / quotient.middle
      : quotient.middle

function headRow(compared: Compared): HeadRow {
  const { say, variant, what, before, after, quotient, better, verdict, counts, gone } = compared
  const { middle, low, high } = quotient
  return {
    what: `${variant === undefined ? '' : `${labelOf(variant)}: `}${say}`,
    target: value(what, before),
    measured:
      gone === undefined ? `${value(what, after)}, ${change(middle)} (${change(low)} to ${change(high)})` : 'gone',
    // The quotient as it would be if 1 were promised.
    against:
      gone === undefined
        ? againstTarget({ value: { kind: 'value', middle, low, high, spread: 0, of: 0 }, target: 1, better })
        : null,
    verdict: WORDS[verdict],
    remark: `${what}${counts ? '' : '; not ours'}${gone === undefined ? '' : `; ${gone}`}`,
    rows: [],
    emulated: false,
  }
}

function everything(rows: readonly Compared[]): Section {
  return {
    id: 'all',
    question: 'Everything that was compared',
    answer: null,
    note: '',
    plots: [],
    ranges: [],
    tables: [
      {
        caption: 'Shares of nothing attached, values, latencies in microseconds, CPU seconds, medians of the benches',
        head: ['What', 'Of', 'Before', 'After', 'Change', 'Interval', 'Verdict'],
        rows: rows.map(({ say, variant, what, before, after, quotient: { middle, low, high }, verdict, gone }) => ({
          look: null,
          emulated: false,
          cells: [
            { text: `${variant === undefined ? '' : `${labelOf(variant)}: `}${say}` },
            { text: what },
            { text: value(what, before) },
            { text: gone === undefined ? value(what, after) : 'gone' },
            {
              text: gone === undefined ? change(middle) : '-',
              ...(verdict === 'slower'
                ? { tone: 'bad' as const }
                : verdict === 'faster'
                  ? { tone: 'good' as const }
                  : {}),
            },
            { text: gone ?? `${change(low)} to ${change(high)}` },
            { text: verdict === 'too-noisy' ? 'too noisy' : verdict },
          ],
        })),
      },
    ],
  }
}

/** What a reader must not miss about either run; what holds for both is said once. */
function notes(before: Results, after: Results): string[] {
  const [old, now] = [warnings(before), warnings(after)]
  return [
    ...old.map((line) => `${now.includes(line) ? 'Both' : 'Before'}: ${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `After: ${line}`),
  ]
}

const ORDER = ['slower', 'faster', 'too-noisy'] as const satisfies readonly Compared['verdict'][]

export function buildComparison(before: Results, after: Results, comparison: Comparison): Report {
  const { says, rows, remarks, agreeing, ratios } = comparison
  const of = (verdict: Compared['verdict']) =>
    rows.filter((row) => row.verdict === verdict).sort((a, b) => worse(b) - worse(a))
  const sides = [
    ['Before', before],
    ['After', after],
  ] as const
  return {
    title: capital(says),
    subtitle: `${whole(rows.length)} compared; intervals agree in ${whole(agreeing)} of ${whole(ratios)} ratios`,
    warnings: [...remarks.map((remark) => `${capital(remark)}.`), ...notes(before, after)],
    headline: {
      question: 'What changed beyond noise?',
      caption: `The mark is what it is now, divided by what it was, with the interval of the quotient: ${MARK}`,
      head: ['What', 'Verdict', 'Now', 'Against before', 'Before'],
      rows: ORDER.flatMap((verdict) => of(verdict).map(headRow)),
      none: 'Nothing changed beyond noise, and nothing was too noisy to tell.',
    },
    sections: [everything(rows)],
    facts: sides.flatMap(([name, results]) => [
      { title: `${name}: ${subtitle(results)}`, rows: [...runFacts(results.run), ...machineFacts(results.machine)] },
    ]),
    commands: sides.map(([name, { run }]) => ({ what: name, line: run.command })),
  }
}
