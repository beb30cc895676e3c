// From the figures of a run to what a reader sees: one plot and one table over a row of measurements. `pick` says which figure
// of a cell is meant, so that throughput, cost and percentiles are drawn by the same few lines. A figure that is too noisy has no
// number here either: its place says so.

import type { Figure, Cell as Measured, Measurement, Results, Role, VariantSeen } from '../results.js'
import { failedGates, untoldGates } from './gates.js'
import type { Cell, Look, Plot, PlotSeries, TableView } from './model.js'
import { amount, percent, ratio } from './number.js'

export interface Column {
  readonly at: number
  readonly name: string
  readonly tick: string
  readonly measurement: Measurement
}

export type PickFigure = (cell: Measured) => Figure | undefined

export const main: PickFigure = ({ figure }) => figure

/** Which look a variant has: by what it is, and for the two kinds of empty hook and of peers by their names. */
export function lookOf({ name, role, emulated }: VariantSeen): Look {
  if (role === 'baseline') return 'nothing'
  if (role === 'reference') return /chain|nft|table/.test(name) ? 'limit-nft' : 'limit'
  if (role === 'peer') return /ipset|iptables/.test(name) ? 'ipset' : 'hand'
  if (emulated) return 'emulated'
  const looks: Readonly<Record<string, Look>> = { nftables: 'nft', ebpf: 'ebpf', 'doca-card': 'card' }
  return Object.hasOwn(looks, name) ? (looks[name] ?? 'other') : 'other'
}

const LABELS: Readonly<Record<string, string>> = {
  none: 'nothing attached',
  empty: 'empty program',
  'empty-chains': 'empty chains',
  hand: 'nftables by hand',
  ipset: 'iptables and ipset',
  nftables: 'Sluice nftables',
  ebpf: 'Sluice eBPF',
  'doca-flow': 'Sluice DOCA Flow',
  'doca-card': 'Sluice DOCA Flow',
}

/** The name of a variant for people; one that this table does not know keeps its own. */
export const labelOf = (name: string): string => (Object.hasOwn(LABELS, name) ? LABELS[name] : undefined) ?? name

export const interval = ({ low, high }: { readonly low: number; readonly high: number }): string =>
  `${amount(low)} to ${amount(high)}`

/** What a figure is in words: the value with its interval, or why there is none. */
export function said(figure: Figure | undefined, unit: string): string {
  if (figure === undefined) return ''
  if (figure.kind === 'none') return 'not measured'
  return figure.kind === 'noisy' ? 'too noisy' : `${amount(figure.middle)} ${unit} (${interval(figure)})`
}

const cellOf = ({ cells }: Measurement, variant: string) => cells.find((cell) => cell.variant === variant)

/** Variants that have a figure in one of the columns, in the order of the run. */
export const variantsIn = (results: Results, columns: readonly Column[], pick: PickFigure): readonly VariantSeen[] =>
  results.variants.filter(({ name, state }) =>
    state === 'measured'
      ? columns.some(({ measurement }) => {
          const cell = cellOf(measurement, name)
          return cell !== undefined && (pick(cell)?.kind ?? 'none') !== 'none'
        })
      : false,
  )

export interface Axes {
  readonly id: string
  readonly x: string
  readonly unit: string
  readonly log: boolean
  readonly joined: boolean
}

/** What lives in chains of netfilter: its empty hook is empty chains, that of everything else an empty program. */
const IN_CHAINS: ReadonlySet<Look> = new Set(['nft', 'hand', 'ipset'])

/** The ratio of a cell to the variant of that role that it is to be compared with: of two empty hooks its own, or none. */
export function shareOf(results: Results, cell: Measured, role: Role): Measured['ratios'][number] | undefined {
  const of = (name: string) => results.variants.find((variant) => variant.name === name)
  const candidates = cell.ratios.filter(({ to }) => to !== cell.variant && of(to)?.role === role)
  if (role !== 'reference') return candidates[0]
  const self = of(cell.variant)
  const own = self !== undefined && IN_CHAINS.has(lookOf(self)) ? 'limit-nft' : 'limit'
  return candidates.find(({ to }) => {
    const variant = of(to)
    return variant !== undefined && lookOf(variant) === own
  })
}

export function plotOf(results: Results, columns: readonly Column[], pick: PickFigure, axes: Axes): Plot {
  const series = variantsIn(results, columns, pick).map((variant): PlotSeries => {
    const figures = columns.map(({ measurement }) => {
      const cell = cellOf(measurement, variant.name)
      return cell === undefined ? undefined : pick(cell)
    })
    const number = (key: 'middle' | 'low' | 'high') =>
      figures.map((figure) => (figure?.kind === 'value' ? figure[key] : null))
    return {
      name: labelOf(variant.name),
      look: lookOf(variant),
      emulated: variant.emulated,
      values: number('middle'),
      low: number('low'),
      high: number('high'),
      texts: figures.map((figure) => (figure === undefined || figure.kind === 'none' ? '' : said(figure, axes.unit))),
      noisy: figures.map((figure) => figure?.kind === 'noisy'),
    }
  })
  return {
    id: axes.id,
    x: {
      label: axes.x,
      at: columns.map(({ at }) => at),
      names: columns.map(({ name }) => name),
      ticks: columns.map(({ at, tick }) => ({ at, name: tick })),
    },
    y: { label: axes.unit, log: axes.log },
    joined: axes.joined,
    marked: true,
    series,
    lines: [],
  }
}

/** The other variants whose share a reader wants: nothing attached, the empty hooks, and what one would write by hand. */
function shares(results: Results, cell: Measured): string[] {
  const wanted = cell.ratios.filter(({ to }) => {
    const role = results.variants.find(({ name }) => name === to)?.role
    return to !== cell.variant && role !== undefined && role !== 'fence'
  })
  return wanted.flatMap(({ to, figure }) => shareText(figure, to))
}

function shareText(figure: Figure, to: string): string[] {
  if (figure.kind === 'none') return []
  if (figure.kind === 'noisy') return [`of ${labelOf(to)}: too noisy`]
  return [`${ratio(figure.middle)} of ${labelOf(to)} (${ratio(figure.low)} to ${ratio(figure.high)})`]
}

function costShare({ variants }: Results, { cost }: Measured): string[] {
  const baseline = variants.find(({ role }) => role === 'baseline')
  return cost?.ofBaseline === undefined || baseline === undefined ? [] : shareText(cost.ofBaseline, baseline.name)
}

/** One figure by itself. */
export function figureCell(figure: Figure): Cell {
  if (figure.kind === 'none') return { text: '–', asides: [figure.why] }
  if (figure.kind === 'noisy')
    return { text: 'too noisy', asides: [`${interval(figure)} seen`, figure.why], tone: 'noisy' }
  return { text: amount(figure.middle), asides: [`${interval(figure)}, spread ${percent(figure.spread)}`] }
}

function tableCell(results: Results, measurement: Measurement, variant: VariantSeen, pick: PickFigure): Cell {
  const cell = cellOf(measurement, variant.name)
  const figure = cell === undefined ? undefined : pick(cell)
  if (cell === undefined || figure === undefined) return { text: '–' }
  const { text, asides = [], tone } = figureCell(figure)
  if (pick !== main) return { text, asides: [...asides, ...costShare(results, cell)], ...(tone ? { tone } : {}) }
  const [failed, untold] = [failedGates(cell.gates), untoldGates(cell.gates)]
  const beside = [
    ...(variant.role === 'fence' ? shares(results, cell) : []),
    ...failed,
    ...(untold === undefined ? [] : [untold]),
  ]
  const shown = failed.length > 0 ? ('bad' as const) : tone
  return { text, asides: [...asides, ...beside], ...(shown ? { tone: shown } : {}) }
}

export function tableOf(results: Results, columns: readonly Column[], pick: PickFigure, caption: string): TableView {
  return {
    caption,
    head: ['Variant', ...columns.map(({ name }) => name)],
    rows: variantsIn(results, columns, pick).map((variant) => ({
      look: lookOf(variant),
      emulated: variant.emulated,
      cells: [
        { text: labelOf(variant.name) },
        ...columns.map(({ measurement }) => tableCell(results, measurement, variant, pick)),
      ],
    })),
  }
}
