// Percentiles of waiting times: one curve a variant, the share of requests on an axis that gives each nine the same room, the
// time on a logarithmic one. The 50th and the 99th are figures of repetitions, with their intervals or too noisy; the others are of all
// requests together, and told only where twenty were slower, whatever the file has. Where a histogram was not corrected for coordinated
// omission (requests that a slow answer kept from being sent are missing from it), the title says so.

import { leastFor } from '../histogram.js'
import type { Figure, Latency, Measurement, Results } from '../results.js'
import { alike } from './alike.js'
import { figureCell, labelOf, lookOf, said } from './figures.js'
import type { Cell, PlotSeries, Section, TableView } from './model.js'
import { amount, whole } from './number.js'

/** 50 % at 0.3, 90 % at 1, 99 % at 2; the maximum a little after the last. */
function position(percent: number, all: readonly number[]): number {
  const below = Math.max(...all.filter((other) => other < 100), 0)
  return percent >= 100 ? -Math.log10(1 - below / 100) + 0.7 : -Math.log10(1 - percent / 100)
}

/** Those far enough apart to be named on the axis. */
const TICKS: ReadonlySet<number> = new Set([50, 90, 99, 99.9, 99.99, 99.999, 100])

const HOW =
  'Each nine has the same room. 50 % and 99 % are medians of repetitions, the others of all requests together, where twenty were slower.'

const nameOf = (percent: number): string => (percent >= 100 ? 'max' : `${percent} %`)

const figureAt = ({ p50, p99 }: Latency, percent: number): Figure | undefined => ({ 50: p50, 99: p99 })[percent]

/** Of all requests together; null where too few were slower. */
const pooled = ({ percentiles, count }: Latency, percent: number): number | null =>
  count < leastFor(percent) ? null : (percentiles.find((one) => one.percent === percent)?.microseconds ?? null)

const percentsOf = (latency: Latency): readonly number[] => [
  50,
  99,
  ...latency.percentiles
    .map(({ percent }) => percent)
    .filter((percent) => percent !== 50 && percent !== 99 && pooled(latency, percent) !== null),
]

function told(latency: Latency, percent: number): Cell {
  const figure = figureAt(latency, percent)
  if (figure !== undefined) return figureCell(figure)
  const value = pooled(latency, percent)
  return { text: value === null ? '–' : amount(value) }
}

function seriesOf({ variant, latency }: Curve, percents: readonly number[]): PlotSeries {
  const figures = percents.map((percent) => figureAt(latency, percent))
  const end = (key: 'low' | 'high') => figures.map((figure) => (figure?.kind === 'value' ? figure[key] : null))
  const values = percents.map((percent, i) => {
    const figure = figures[i]
    if (figure === undefined) return pooled(latency, percent)
    return figure.kind === 'value' ? figure.middle : null
  })
  return {
    name: labelOf(variant.name),
    look: lookOf(variant),
    emulated: variant.emulated,
    values,
    low: end('low'),
    high: end('high'),
    texts: values.map((value, i) => {
      const figure = figures[i]
      if (figure !== undefined) return figure.kind === 'none' ? '' : said(figure, 'us')
      return value === null ? '' : `${amount(value)} us`
    }),
    noisy: figures.map((figure) => figure?.kind === 'noisy'),
  }
}

interface Curve {
  readonly variant: Results['variants'][number]
  readonly latency: Latency
}

function tableView(title: string, curves: readonly Curve[], percents: readonly number[]): TableView {
  return {
    caption: `${title}, microseconds`,
    head: ['Variant', ...percents.map(nameOf), 'requests'],
    rows: curves.map(({ variant, latency }) => ({
      look: lookOf(variant),
      emulated: variant.emulated,
      cells: [
        { text: labelOf(variant.name) },
        ...percents.map((percent) => told(latency, percent)),
        { text: whole(latency.count) },
      ],
    })),
  }
}

export function latencyPlots(
  results: Results,
  id: string,
  measurements: readonly Measurement[],
): Pick<Section, 'plots' | 'tables'> {
  const views = measurements.flatMap((measurement, index) => {
    const curves = measurement.cells.flatMap(({ variant: name, latency }): Curve[] => {
      const variant = results.variants.find((one) => one.name === name)
      return variant === undefined || latency === undefined ? [] : [{ variant, latency }]
    })
    if (curves.length === 0) return []
    const percents = [...new Set(curves.flatMap(({ latency }) => percentsOf(latency)))].sort((a, b) => a - b)
    const corrected = curves.every(({ latency }) => latency.corrected)
    const title = `Waiting time: ${measurement.say}, ${whole(measurement.grants)} grants`
    const series = curves.map((curve) => seriesOf(curve, percents))
    const positions = percents.map((percent) => position(percent, percents))
    return [
      {
        measurement,
        plot: {
          title,
          note: `${
            corrected
              ? 'Corrected for coordinated omission.'
              : 'NOT corrected for coordinated omission: the true tail is longer.'
          } ${HOW}`,
          plot: {
            id: `plot-${id}-latency-${index}`,
            x: {
              label: 'share of requests',
              at: positions,
              names: percents.map((percent) => (percent >= 100 ? 'slowest' : `${percent} % of requests within`)),
              ticks: percents.flatMap((percent, i) =>
                TICKS.has(percent) ? [{ at: positions[i] ?? 0, name: nameOf(percent) }] : [],
              ),
            },
            y: { label: 'us', log: true },
            joined: true,
            marked: true,
            series,
            lines: [],
          },
        },
        table: tableView(title, curves, percents),
      },
    ]
  })
  // The curves of the hardest case of each kind; the tables have them all.
  const hardest = alike(views, ({ measurement }) => measurement.question).flatMap((kind) => {
    const most = Math.max(...kind.map(({ measurement }) => measurement.grants))
    return kind.filter(({ measurement }) => measurement.grants === most).slice(0, 2)
  })
  return { plots: hardest.map(({ plot }) => plot), tables: views.map(({ table }) => table) }
}
