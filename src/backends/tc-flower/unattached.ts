// Interfaces that may only ever carry fenced traffic (`attach_interfaces`) and carry no workspace: closed as they are seen, and told
// of while they are open.

import { readdirSync } from 'node:fs'
import type { Kernel } from './kernel.js'
import { baseIn, type Flags, lay, type Post, type Seat } from './post.js'

export const UNFLAGGED: Flags = { quarantined: false, suspended: false }

/** Names of this network namespace that a shell pattern stands for. */
export const matching = (patterns: readonly string[]): readonly string[] =>
  patterns.length === 0
    ? []
    : readdirSync('/sys/class/net').filter((name) => patterns.some((pattern) => shellPattern(pattern).test(name)))

const shellPattern = (pattern: string): RegExp => {
  const literal = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${literal.replaceAll('*', '.*').replaceAll('?', '.')}$`)
}

/** What an interface is without a workspace. */
export const bare = (name: string): Seat => ({ interface: name, mac: '', number: 0 })

export const unattached = (
  patterns: readonly string[],
  seats: readonly Seat[],
  postOf: (seat: Seat) => Post | undefined,
): Post[] =>
  matching(patterns)
    .filter((name) => !seats.some((seat) => seat.interface === name))
    .flatMap((name) => postOf(bare(name)) ?? [])

export const saidOpen = (kernel: Kernel, posts: readonly Post[]): string[] =>
  posts
    .filter(({ stations }) =>
      stations.some((station) => !baseIn(station, kernel.native.list({ ...station, chain: 0 }))),
    )
    .map((post) => `the interface ${post.interface} carries no workspace and is open`)

/** Closes what has just come. It may have gone again, or its hardware takes nothing: the next observation says what is open. */
export function closeNow(kernel: Kernel, post: Post | undefined, flags: Flags): void {
  try {
    if (post) lay(kernel, post, flags)
  } catch {
    // As said above.
  }
}
