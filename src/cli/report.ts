// The pieces of text about plans that several commands print: what changed, and what is not enforced by the fence itself.

import { guaranteeTotals } from '../plan/guarantee.js'
import type { Guarantee, GuaranteeLevel } from '../plan/model.js'
import { type Ink, type Paint, table } from './print.js'

const INKS = { enforced: 'green', detected: 'yellow', delegated: 'yellow', refused: 'red' } as const satisfies Record<
  GuaranteeLevel,
  Ink
>

/** A row for each guarantee, and the totals; the workspace only where there are several. */
export function guarantees(list: readonly Guarantee[], paint: Paint): string {
  const several = new Set(list.map((row) => row.workspace)).size > 1
  const rows = list.map((row) => [
    row.level,
    ...(several ? [row.workspace] : []),
    row.dimension === undefined ? row.name : `${row.name}: ${row.dimension}`,
    row.origin,
    row.why,
  ])
  const head = ['guarantee', ...(several ? ['workspace'] : []), 'clause', 'place', 'how or why not']
  const inked = table(head, rows).replace(/^(enforced|detected|delegated|refused)(?= )/gm, (word) =>
    paint(INKS[word as GuaranteeLevel], word),
  )
  return `${inked}${totals(list)}`
}

/** `3 enforced, 0 detected, 1 delegated, 0 refused`. */
export function totals(list: readonly Guarantee[]): string {
  const sum = guaranteeTotals(list)
  return `${sum.enforced} enforced, ${sum.detected} detected, ${sum.delegated} delegated, ${sum.refused} refused\n`
}

/** What the runtime inside the workspace must hold, because the fence cannot see it; empty when there is nothing. */
export function delegated(list: readonly Guarantee[], paint: Paint): string {
  const rows = list.filter((row) => row.level === 'delegated' || row.level === 'detected')
  return rows.length === 0 ? '' : `left to the workspace's own runtime:\n${guarantees(rows, paint)}`
}
