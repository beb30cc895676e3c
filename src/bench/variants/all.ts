// Every variant of this release, in the order in which results list them.

import { card } from './card.js'
import { fence } from './fences.js'
import { handWritten, ipset, nothing } from './hand.js'
import { emptyChains, emptyProgram } from './limits.js'
import type { Variant } from './variant.js'

/** `stateDirectory` is for what drivers keep during the run. */
export function variantsOf(stateDirectory: string, nowMs: () => number): readonly Variant[] {
  const options = { attachInterfaces: [], stateDirectory }
  const nftables = fence('nftables', options, nowMs)
  const flower = fence('tc-flower', { ...options, flower: { software: true } }, nowMs)
  return [
    nothing,
    emptyProgram,
    emptyChains(nftables),
    handWritten,
    ipset,
    nftables,
    fence('ebpf', options, nowMs),
    flower,
    card,
  ]
}
