// Every variant of this release, in the order in which results list them.

import type { Ground } from '../ground.js'
import { card } from './card.js'
import { emulated } from './doca.js'
import { fence } from './fences.js'
import { handWritten, ipset, nothing } from './hand.js'
import { emptyChains, emptyProgram } from './limits.js'
import type { Variant } from './variant.js'

/** `stateDirectory` is for what drivers keep during the run; without a ground they have names and nothing more. */
export function variantsOf(stateDirectory: string, nowMs: () => number, ground?: Ground): readonly Variant[] {
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
    emulated(ground, stateDirectory, nowMs),
    card,
  ]
}
