// Distributions side by side, one row each on one logarithmic axis: a dot at the median, a bar to the 99th percentile where
// there is one, a thin line to the slowest, and the promised value as an upright line. Plain SVG: it needs no script, and its colours follow the scheme.

import { emulatedBadge, type Html, html } from './html.js'
import type { Ranges } from './model.js'
import { tick } from './number.js'

const WIDTH = 400
const HEIGHT = 22
const MARGIN = 7

export function rangesFigure({ title, note, unit, rows }: Ranges): Html {
  const all = rows.flatMap(({ p50, max, promised }) => [p50, max, promised ?? p50]).filter((value) => value > 0)
  const low = Math.floor(Math.log10(Math.min(...all)))
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...all))))
  const x = (value: number): string => {
    const share = value > 0 ? (Math.log10(value) - low) / (high - low) : 0
    return (MARGIN + Math.max(0, Math.min(1, share)) * (WIDTH - 2 * MARGIN)).toFixed(1)
  }
  const decades = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i))
  const lines = decades.map(
    (value) => html`<line class="decade" x1="${x(value)}" x2="${x(value)}" y1="0" y2="${HEIGHT}"/>`,
  )
  const line = (
    row: Ranges['rows'][number],
  ) => html`<div class="row look-${row.look}"><div class="name">${row.name}${emulatedBadge(row.emulated)}</div>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" aria-hidden="true">${lines}<line class="tail" x1="${x(row.p50)}" x2="${x(row.max)}" y1="11" y2="11"/>${row.p99 === null ? null : html`<line class="bulk" x1="${x(row.p50)}" x2="${x(row.p99)}" y1="11" y2="11"/>`}<line class="median" x1="${x(row.p50)}" x2="${x(row.p50)}" y1="5" y2="17"/>${row.promised === null ? null : html`<line class="promised" x1="${x(row.promised)}" x2="${x(row.promised)}" y1="1" y2="21"/>`}</svg>
<div class="value">${row.text}</div></div>
`
  // With many decades every second one is named.
  const named = decades.filter((_, i) => decades.length <= 5 || i % 2 === 0)
  const names = named.map((value) => html`<text x="${x(value)}" y="12">${tick(value)}</text>`)
  return html`<figure class="ranges"><figcaption><h3>${title}, ${unit}</h3><p class="note">${note}</p></figcaption>
${rows.map(line)}<div class="row" aria-hidden="true"><div class="name"></div><svg viewBox="0 0 ${WIDTH} 16">${names}</svg><div class="value"></div></div></figure>
`
}
