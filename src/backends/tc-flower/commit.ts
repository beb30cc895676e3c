// The switch: one request for each hook, all of them in one system call, put in the place of the ones before. Each is atomic; what
// is between two of them is judged by one generation or the other, never by half of one. What cannot be turned is turned back.

import type { Kernel } from './kernel.js'
import { PRIO, switchRule, type Turn } from './place.js'
import { type Post, switchIn } from './post.js'
import type { HeldGeneration } from './record.js'

export interface Turned {
  readonly post: Post
  readonly turn: Turn
}

/** Throws FLOWER_KERNEL, FLOWER_NOT_OFFLOADED; then everything leads where it led before. */
export function turn(
  kernel: Kernel,
  next: HeldGeneration,
  posts: readonly Post[],
  before: { readonly generation: HeldGeneration; readonly posts: readonly Post[] } | undefined,
): void {
  const rules = posts.flatMap((post) =>
    post.stations.map((station) => switchRule(station, post.ports, next.turn, next)),
  )
  try {
    for (let from = 0; from < rules.length; from += 512) kernel.put(rules.slice(from, from + 512), true)
  } catch (error) {
    const old = before?.posts ?? []
    const back = old.flatMap((post) =>
      post.stations.map((station) =>
        switchRule(
          station,
          post.ports,
          (before as { generation: HeldGeneration }).generation.turn,
          (before as { generation: HeldGeneration }).generation,
        ),
      ),
    )
    for (const post of posts) if (!old.some((one) => one.interface === post.interface)) shut(kernel, post)
    for (let from = 0; from < back.length; from += 512) kernel.put(back.slice(from, from + 512), true)
    throw error
  }
  for (const post of before?.posts ?? []) if (!posts.some((one) => one.interface === post.interface)) shut(kernel, post)
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
