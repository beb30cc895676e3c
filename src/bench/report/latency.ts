// Percentiles of waiting times: one curve a variant, the share of requests on an axis that gives each nine the same room, the
// time on a logarithmic one. Where a histogram was not corrected for coordinated omission (requests that a slow answer kept from
// being sent are missing from it), the title says so.

import type { Latency, Measurement, Results } from '../results.js'
import { alike } from './alike.js'
import { labelOf, lookOf } from './figures.js'
import type { PlotSeries, Section, TableView } from './model.js'
import { amount, whole } from './number.js'

/** 50 % at 0.3, 90 % at 1, 99 % at 2; the maximum a little after the last. */
function position(percent: number, all: readonly number[]): number {
  const below = Math.max(...all.filter((other) => other < 100), 0)
  return percent >= 100 ? -Math.log10(1 - below / 100) + 0.7 : -Math.log10(1 - percent / 100)
}

/** Those far enough apart to be named on the axis. */
const TICKS: ReadonlySet<number> = new Set([50, 90, 99, 99.9, 99.99, 99.999, 100])

const nameOf = (percent: number): string => (percent >= 100 ? 'max' : `${percent} %`)

const at = ({ percentiles }: Latency, percent: number): number | null =>
  percentiles.find((one) => one.percent === percent)?.microseconds ?? null

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
        ...percents.map((percent) => {
          const value = at(latency, percent)
          return { text: value === null ? '–' : amount(value) }
        }),
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
      return variant === undefined || latency === undefined || latency.percentiles.length === 0
        ? []
        : [{ variant, latency }]
    })
    if (curves.length === 0) return []
    const percents = [
      ...new Set(curves.flatMap(({ latency }) => latency.percentiles.map(({ percent }) => percent))),
    ].sort((a, b) => a - b)
    const corrected = curves.every(({ latency }) => latency.corrected)
    const title = `Waiting time: ${measurement.say}, ${whole(measurement.grants)} grants`
    const series = curves.map(({ variant, latency }): PlotSeries => {
      const values = percents.map((percent) => at(latency, percent))
      const none = percents.map(() => null)
      return {
        name: labelOf(variant.name),
        look: lookOf(variant),
        emulated: variant.emulated,
        values,
        low: none,
        high: none,
        texts: values.map((value) => (value === null ? '' : `${amount(value)} us`)),
        noisy: percents.map(() => false),
      }
    })
    const positions = percents.map((percent) => position(percent, percents))
    return [
      {
        measurement,
        plot: {
          title,
          note: corrected
            ? 'Corrected for coordinated omission. Each nine has the same room.'
            : 'NOT corrected for coordinated omission: the true tail is longer. Each nine has the same room.',
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
            marked: false,
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
