// Loads a generation into the chains that nothing leads to, and reads every filter back: one that is not there, or that the
// hardware has not taken, is a failed stage. What was laid on the way is taken up again when it fails.

import { digestOfText } from '../../base/digest.js'
import { flowerFault } from './errors.js'
import type { Kernel } from './kernel.js'
import { chainEnds, chainsOf, programOf, rulesOf, type Station, type Turn } from './place.js'
import type { Post } from './post.js'
import type { FlowerWorkspace } from './program.js'
import type { Found } from './rule.js'

/** Gives the digest of what each station holds. Throws FLOWER_NOT_OFFLOADED, FLOWER_NOT_READ_BACK, FLOWER_KERNEL. */
export async function loadWorkspace(kernel: Kernel, at: FlowerWorkspace, post: Post, turn: Turn): Promise<string[]> {
  const digests: string[] = []
  for (const station of post.stations) {
    await clearTurn(kernel, station, turn)
    const ends = chainEnds(station, post.ports, turn, programOf(at, station, post.ports))
    kernel.put(ends, true)
    const rules = rulesOf(at, station, post.ports, turn)
    await kernel.load(rules)
    const found = foundIn(kernel, station, turn)
    const wanted = ends.length + rules.length
    if (found.length !== wanted)
      throw flowerFault('FLOWER_NOT_READ_BACK', { interface: at.interface, wanted, found: found.length })
    const offloaded =
      rules.filter(({ place }) => place !== 'software').length +
      (post.ports.uplink && station.side !== 'own' ? ends.length : 0)
    const inHardware = found.filter((one) => one.inHardware).length
    if (inHardware < offloaded) {
      const missing = `${offloaded - inHardware} of ${offloaded} filters`
      throw flowerFault('FLOWER_NOT_OFFLOADED', {
        interface: at.interface,
        filter: missing,
        why: 'they are not in hardware',
      })
    }
    digests.push(digestOfFound(found))
  }
  return digests
}

export const foundIn = (kernel: Kernel, station: Station, turn: Turn): Found[] =>
  chainsOf(station, turn).flatMap((chain) => kernel.native.list({ ...station, chain }))

/** Learned grants come and go beside a generation. */
export const digestOfFound = (found: readonly Found[]): string =>
  digestOfText(
    found
      .filter(({ cookie }) => cookie?.kind !== 'learned')
      .map(
        ({ chain, priority, etherType, handle, substance }) =>
          `${chain} ${priority} ${etherType} ${handle} ${substance}`,
      )
      .sort()
      .join('\n'),
  )

/** Empties the chains of a turn but for the refusals that they end in. */
export async function clearTurn(kernel: Kernel, station: Station, turn: Turn): Promise<void> {
  for (const chain of chainsOf(station, turn)) {
    const found = kernel.native.list({ ...station, chain })
    if (found.length > 0) await kernel.empty(station, chain, found)
  }
}
