// An interval against its target, as a picture of one line: the target in the middle, better to the right, a fifth worse and a
// quarter better at the ends, on a logarithmic scale, so that every promise is drawn alike whatever its unit. What lies beyond an end is an arrow there.

import { type Html, html } from './html.js'
import type { Against } from './model.js'

const WIDTH = 180
const MARGIN = 8
const ENDS = 1.25 // times the target, and one by it

const place = (value: number): number => {
  const share = Math.log(Math.max(value, 1e-9)) / Math.log(ENDS)
  return WIDTH / 2 + Math.max(-1, Math.min(1, share)) * (WIDTH / 2 - MARGIN)
}

const at = (value: number): string => place(value).toFixed(1)

export function intervalMark({ low, mid, high }: Against): Html {
  const beyond = mid > ENDS ? 'right' : mid < 1 / ENDS ? 'left' : null
  const middle =
    beyond === null
      ? html`<circle class="mid" cx="${at(mid)}" cy="11" r="3"/>`
      : html`<path class="mid" d="${beyond === 'right' ? `M${WIDTH - 13} 5l10 6l-10 6z` : 'M13 5l-10 6l10 6z'}"/>`
  return html`<svg viewBox="0 0 ${WIDTH} 22" aria-hidden="true"><line class="axis" x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="11" y2="11"/><line class="target" x1="${at(1)}" x2="${at(1)}" y1="1" y2="21" stroke-width="1.5"/><line class="bar" x1="${at(low)}" x2="${at(high)}" y1="11" y2="11"/>${middle}</svg>`
}
