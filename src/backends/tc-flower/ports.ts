// A range of ports as values with masks: hardware behind tc compares ports under a mask and knows no ranges. Each block is
// as large as its first port is aligned; a range becomes at most thirty of them.

import type { PortRange } from '../../base/ports.js'
import type { Masked } from './program.js'

/** In the order of their ports. Every port at all is no condition: undefined. */
export function portBlocks({ from, to }: PortRange): readonly (Masked | undefined)[] {
  if (from === 0 && to === 65_535) return [undefined]
  const blocks: Masked[] = []
  for (let at = from; at <= to; ) {
    let size = at === 0 ? 65_536 : at & -at
    while (at + size - 1 > to) size /= 2
    blocks.push({ value: at, mask: 65_536 - size })
    at += size
  }
  return blocks
}
