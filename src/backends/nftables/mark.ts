// The conntrack mark by which flows carry the clause that let them begin, in 32 bits: what the rules compare and what a cut looks
// for. Flows that a static grant let begin carry none.

import type { Digest } from '../../base/digest.js'

/** The conntrack mark of a clause: the first 32 bits of its digest, never 0, which means "static". */
export function markOf(clause: Digest): number {
  const mark = Number.parseInt(clause.slice('sha256:'.length, 'sha256:'.length + 8), 16)
  return mark === 0 ? 1 : mark
}
