// The guarantee report: what happens to every clause, and to every dimension of it that a fence cannot see. Nothing is
// silently weaker, so this is printed by `plan` and `apply`, and is part of the plan and its digest.

import type { Guarantee, GuaranteeLevel } from './model.js'

export type GuaranteeTotals = Readonly<Record<GuaranteeLevel, number>>

export function guaranteeTotals(guarantees: readonly Guarantee[]): GuaranteeTotals {
  const totals = { enforced: 0, detected: 0, delegated: 0, refused: 0 }
  for (const guarantee of guarantees) totals[guarantee.level]++
  return totals
}

/** One row of text a guarantee: level, clause or `clause: dimension`, place, why. Columns are separated by two spaces. */
export function renderGuarantees(guarantees: readonly Guarantee[]): string {
  const rows = guarantees.map((guarantee) => [
    guarantee.level,
    guarantee.dimension === undefined ? guarantee.name : `${guarantee.name}: ${guarantee.dimension}`,
    guarantee.origin,
    guarantee.why,
  ])
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row.map((cell, column) => (column < 3 ? cell.padEnd(widths[column] ?? 0) : cell)).join('  '),
  )
  const totals = guaranteeTotals(guarantees)
  lines.push(
    `${totals.enforced} enforced, ${totals.detected} detected, ${totals.delegated} delegated, ${totals.refused} refused`,
  )
  return `${lines.join('\n')}\n`
}
