// Takes everything of ours off the hooks of a post: chain 0 first, then the chains that nothing leads to any more, then the hooks
// when nobody else uses them. What somebody else hung there stays.

import type { Kernel } from './kernel.js'
import { chainsOf, PRIO } from './place.js'
import type { Post } from './post.js'
import type { writeRemoval } from './rule.js'

const OURS: ReadonlySet<number> = new Set(Object.values(PRIO))

/** True when something was there. Throws FLOWER_KERNEL. */
export function withdraw(kernel: Kernel, { stations }: Pick<Post, 'stations'>): boolean {
  let any = false
  for (const station of stations) {
    const { ifindex, hook, handle } = station
    const found = kernel.native.list(station)
    const first = found.filter(
      (one) => one.chain === 0 && OURS.has(one.priority) && one.handle === handle && one.cookie,
    )
    const chains = [...chainsOf(station, 0), ...chainsOf(station, 1)].filter((chain) =>
      found.some((one) => one.chain === chain),
    )
    const removals: Parameters<typeof writeRemoval>[1][] = [
      ...first.map(({ priority }) => ({ ifindex, hook, chain: 0, priority, handle })),
      ...chains.map((chain) => ({ ifindex, hook, chain })),
    ]
    kernel.take(removals)
    any ||= removals.length > 0
  }
  for (const ifindex of new Set(stations.map((station) => station.ifindex))) kernel.dropHooks(ifindex)
  return any
}
