// The switch: one request for each hook, all of them in one system call, put in the place of the ones before. Each is atomic; what
// is between two of them is judged by one generation or the other, never by half of one. What cannot be turned is turned back.

import type { Kernel } from './kernel.js'
import { PRIO, switchRule } from './place.js'
import { type Post, requireInForce, switchIn } from './post.js'
import type { HeldGeneration } from './record.js'

/** A generation with the places of its workspaces. */
export interface Placed {
  readonly generation: HeldGeneration
  readonly posts: readonly Post[]
}

const MOST = 512

/** Ends read back. Throws FLOWER_KERNEL, FLOWER_NOT_OFFLOADED; then everything leads where it led before. */
export function turn(kernel: Kernel, next: Placed, before: Placed | undefined): void {
  const gone = (from: readonly Post[], by: readonly Post[]): Post[] =>
    from.filter((post) => !by.some((one) => one.interface === post.interface))
  const old = before?.posts ?? []
  try {
    point(kernel, next)
    for (const post of next.posts) requireInForce(kernel, post, switchIn, 'the switch')
  } catch (error) {
    for (const post of gone(next.posts, old)) shut(kernel, post)
    if (before) point(kernel, before)
    throw error
  }
  for (const post of gone(old, next.posts)) shut(kernel, post)
}

function point(kernel: Kernel, { generation, posts }: Placed): void {
  const rules = posts.flatMap((post) =>
    post.stations.map((station) => switchRule(station, post.ports, generation.turn, generation)),
  )
  for (let from = 0; from < rules.length; from += MOST) kernel.put(rules.slice(from, from + MOST), true)
}

/** Takes the switch away: what is left is the refusal at the end. */
export function shut(kernel: Kernel, { stations }: Post): void {
  kernel.take(
    stations.flatMap((station) =>
      switchIn(station, kernel.native.list({ ...station, chain: 0 }))
        ? [{ ifindex: station.ifindex, hook: station.hook, chain: 0, priority: PRIO.switch, handle: station.handle }]
        : [],
    ),
  )
}
