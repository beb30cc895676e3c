// The questions of a report, as a table: which measurements answer each, how its axis runs, and what its note says. A question
// that a run did not measure has no section.

import type { Cell, Measurement, Question, Results } from '../results.js'
import { type Group, groupsOf } from './columns.js'
import { labelOf, lookOf, main, type PickFigure, plotOf, shareOf, tableOf, variantsIn } from './figures.js'
import { latencyPlots } from './latency.js'
import type { Section } from './model.js'
import { amount, capital, ratio, whole } from './number.js'

interface Asked {
  readonly id: string
  readonly question: string
  readonly of: readonly Question[]
  readonly log: boolean
  readonly note: string
  readonly pick?: PickFigure
  readonly unit?: string
}

const PART =
  'Points are medians, bars their intervals; a cross on the axis was too noisy for a number. The axis need not begin at zero.'

const cost =
  (name: keyof NonNullable<Cell['cost']>): PickFigure =>
  (cell) =>
    cell.cost?.[name]

const QUESTIONS: readonly Asked[] = [
  { id: 'stream', question: 'How much of a TCP stream is left?', of: ['tcp-stream'], log: false, note: PART },
  { id: 'udp', question: 'How much of a UDP stream is left?', of: ['udp-stream'], log: false, note: PART },
  { id: 'packets', question: 'How many small packets a second?', of: ['packets'], log: false, note: PART },
  { id: 'crr', question: 'How many connections a second?', of: ['tcp-crr'], log: false, note: PART },
  { id: 'rr', question: 'How long does a request wait?', of: ['tcp-rr', 'http'], log: false, note: PART },
  { id: 'flows', question: 'How many flows at once?', of: ['flows'], log: true, note: PART },
  {
    id: 'memory',
    question: 'How much kernel memory does it take?',
    of: ['kernel-memory'],
    log: true,
    note: 'Maps and sets of one plan.',
  },
  {
    id: 'stage',
    question: 'How long does a plan take to load?',
    of: ['stage'],
    log: true,
    note: 'Everything up to the switch; what is live stays live meanwhile.',
  },
]

const MACHINE = 'Processor time of the whole machine, both ends of the link included.'
const COSTS: readonly Asked[] = [
  {
    id: 'cost-gbit',
    question: 'A gigabit',
    of: ['tcp-stream', 'udp-stream'],
    log: false,
    note: MACHINE,
    pick: cost('cpuSecondsPerGbit'),
    unit: 'CPU s/Gbit',
  },
  {
    id: 'cost-packets',
    question: 'A million packets',
    of: ['packets', 'udp-stream'],
    log: false,
    note: MACHINE,
    pick: cost('cpuSecondsPerMillionPackets'),
    unit: 'CPU s/million packets',
  },
  {
    id: 'cost-transactions',
    question: 'A thousand transactions',
    of: ['tcp-crr', 'tcp-rr', 'http'],
    log: false,
    note: MACHINE,
    pick: cost('cpuSecondsPerThousandTransactions'),
    unit: 'CPU s/1000',
  },
]

/** With as many grants as were measured: what each fence leaves, and of what. Only figures that the run stands behind. */
function answerOf(results: Results, measurement: Measurement): Section['answer'] {
  const lines = measurement.cells.flatMap((cell) => {
    const variant = results.variants.find(({ name }) => name === cell.variant)
    if (variant?.role !== 'fence' || variant.emulated || cell.figure.kind !== 'value') return []
    // What costs more than nothing is no share of it.
    const roles = measurement.better === 'higher' ? (['reference', 'baseline', 'peer'] as const) : (['peer'] as const)
    const parts = roles.flatMap((role) => {
      const found = shareOf(results, cell, role)
      if (found?.figure.kind !== 'value') return []
      const { middle, low, high } = found.figure
      return [`${ratio(middle)} (${ratio(low)} to ${ratio(high)}) of ${labelOf(found.to)}`]
    })
    const value = `${labelOf(variant.name)}: ${amount(cell.figure.middle)} ${measurement.unit}`
    return [[value, ...parts].join(', ')]
  })
  return lines.length === 0
    ? null
    : { lead: capital(`${measurement.say}, ${whole(measurement.grants)} grants:`), lines }
}

const most = (group: Group | undefined): Measurement | undefined =>
  group?.x === 'grants' ? group.columns.at(-1)?.measurement : group?.columns[0]?.measurement

/** The section of one question, or null where the run has no figure for it. */
function sectionOf(results: Results, asked: Asked): Section | null {
  const pick = asked.pick ?? main
  const measured = results.measurements.filter(({ question }) => asked.of.includes(question))
  const groups = groupsOf(measured.filter((one) => one.cells.some((cell) => (pick(cell)?.kind ?? 'none') !== 'none')))
  if (groups.length === 0) return null
  const views = groups.map((group) => {
    const unit = asked.unit ?? group.columns[0]?.measurement.unit ?? ''
    return {
      group,
      unit,
      title: capital(`${asked.pick === undefined ? '' : `${asked.question}: `}${group.title}, ${unit}`),
    }
  })
  const reference =
    asked.of.every((one) => one !== 'stage' && one !== 'kernel-memory') &&
    variantsIn(results, groups[0]?.columns ?? [], pick).some((variant) => lookOf(variant).startsWith('limit'))
  const top = most(groups[0])
  const latency = asked.pick === undefined ? latencyPlots(results, asked.id, measured) : { plots: [], tables: [] }
  return {
    id: asked.id,
    question: asked.question,
    answer: top === undefined || asked.pick !== undefined ? null : answerOf(results, top),
    note: reference ? `${asked.note} Dashed grey: the physical limit, an empty program or empty chains.` : asked.note,
    plots: [
      ...views.map(({ group, unit, title }) => ({
        title,
        note: '',
        plot: plotOf(results, group.columns, pick, {
          id: `plot-${asked.id}-${group.key}`,
          x: group.x,
          unit,
          log: asked.log,
          joined: group.joined,
        }),
      })),
      ...latency.plots,
    ],
    ranges: [],
    tables: [...views.map(({ group, title }) => tableOf(results, group.columns, pick, title)), ...latency.tables],
  }
}

/** All questions that the run measured; what they cost the processors is one of them. */
export function measuredSections(results: Results): readonly Section[] {
  const of = (list: readonly Asked[]) => list.flatMap((asked) => sectionOf(results, asked) ?? [])
  const costs = of(COSTS)
  const cost: Section = {
    id: 'cost',
    question: 'What does it cost the processors?',
    answer: null,
    note: MACHINE,
    plots: costs.flatMap(({ plots }) => plots),
    ranges: [],
    tables: costs.flatMap(({ tables }) => tables),
  }
  const sections = of(QUESTIONS)
  const at = sections.findIndex(({ id }) => id === 'memory' || id === 'stage')
  const before = at < 0 ? sections.length : at
  return [...sections.slice(0, before), ...(costs.length === 0 ? [] : [cost]), ...sections.slice(before)]
}
