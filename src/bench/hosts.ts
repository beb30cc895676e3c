// Two runs between hosts for a comparison. Each has one variant, what stood between, under the name that it was given then (`none`,
// `doca-card`): it is what somebody changed from one run to the other, so that the two are compared whatever they are called. Takes
// results of any kind and leaves those of other kinds as they are.

import type { Results } from './results.js'

const between = ({ run }: Results): boolean => run.kind === 'hosts'
const pathOf = ({ variants }: Results): string => variants[0]?.name ?? ''

/** Between the same two machines, as far as their addresses say; that the measuring one is the same is for whoever asks to know. */
export const samePair = (before: Results, after: Results): boolean =>
  between(before) && between(after) && before.variants[0]?.say === after.variants[0]?.say

/** The second run, its path under the name that the first one's has. */
export function renamed(before: Results, after: Results): Results {
  const [old, now] = [before, after].map(pathOf)
  if (!between(before) || !between(after) || old === undefined || old === now) return after
  const name = old
  return {
    ...after,
    variants: after.variants.map((one) => (one.name === now ? { ...one, name } : one)),
    measurements: after.measurements.map((one) => ({
      ...one,
      cells: one.cells.map((cell) => (cell.variant === now ? { ...cell, variant: name } : cell)),
    })),
  }
}

/** What a reader has to know of it; nothing where the names are the same. */
export const toldOf = (before: Results, after: Results): readonly string[] =>
  renamed(before, after) === after
    ? []
    : [`between the hosts stood ${pathOf(before)} in the first, and stands ${pathOf(after)} in the second`]
