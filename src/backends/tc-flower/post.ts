// A workspace's place in this kernel: its interface with its number, and the stations where it is judged. The base of a station
// (the refusal at its end, and a flag above it when one is set) stands before anything is loaded, and stays until uninstall.

import { readdirSync, readFileSync } from 'node:fs'
import type { WorkspaceId } from '../../plan/model.js'
import { flowerFault } from './errors.js'
import type { Kernel } from './kernel.js'
import type { Native } from './native.js'
import { flagRule, lastRule, type Ports, PRIO, type Station, stationsOf } from './place.js'
import type { Found } from './rule.js'

export interface Flags {
  readonly quarantined: boolean
  readonly suspended: boolean
}

/** What a place needs of a workspace. */
export interface Seat {
  readonly interface: string
  readonly mac: string
  readonly number: number
}

export interface Post extends Seat {
  readonly ports: Ports
  readonly stations: readonly Station[]
}

/** undefined: the interface is not there. Throws FLOWER_UPLINK_ABSENT. */
export function postOf(native: Native, uplink: string | undefined, seat: Seat): Post | undefined {
  const slot = native.ifindex(seat.interface)
  if (slot === 0) return undefined
  const up = uplink === undefined ? undefined : native.ifindex(uplink)
  if (uplink !== undefined && (up ?? 0) === 0) throw flowerFault('FLOWER_UPLINK_ABSENT', { interface: uplink })
  const ports: Ports = { slot, number: seat.number, ...(up === undefined ? {} : { uplink: up }) }
  return { ...seat, ports, stations: stationsOf(ports, seat.mac) }
}

/** As `postOf`; throws FLOWER_SLOT_ABSENT too. */
export function requirePost(native: Native, uplink: string | undefined, seat: Seat & { workspace: WorkspaceId }): Post {
  const post = postOf(native, uplink, seat)
  if (!post) throw flowerFault('FLOWER_SLOT_ABSENT', { workspace: seat.workspace, interface: seat.interface })
  return post
}

const isAt =
  ({ handle }: Station, priority: number) =>
  (found: Found): boolean =>
    found.chain === 0 && found.priority === priority && found.handle === handle && found.cookie !== undefined

export const baseIn = (station: Station, found: readonly Found[]): Found | undefined =>
  found.find(isAt(station, PRIO.last))
export const switchIn = (station: Station, found: readonly Found[]): Found | undefined =>
  found.find(isAt(station, PRIO.switch))
export const flagIn = (station: Station, found: readonly Found[]): Found | undefined =>
  found.find(isAt(station, PRIO.flag))

/** Closes every station of a post that was not closed yet. True when it closed one. */
export function lay(kernel: Kernel, post: Post, flags: Flags): boolean {
  let laid = false
  for (const station of post.stations) {
    kernel.makeHooks(station.ifindex)
    const found = kernel.native.list({ ...station, chain: 0 })
    if (baseIn(station, found)) continue
    kernel.put([lastRule(station, post.ports)], true)
    laid = true
  }
  raise(kernel, post, flags)
  return laid
}

/** Sets or lifts the flag of a post, both directions in one system call, and reads it back. Throws FLOWER_KERNEL. */
export function raise(kernel: Kernel, { stations, ports }: Post, flags: Flags): void {
  const on = flags.quarantined || flags.suspended
  if (on)
    kernel.put(
      stations.map((station) => flagRule(station, ports, flags)),
      true,
    )
  else
    kernel.take(
      stations.flatMap((station) =>
        flagIn(station, kernel.native.list({ ...station, chain: 0 }))
          ? [{ ifindex: station.ifindex, hook: station.hook, chain: 0, priority: PRIO.flag, handle: station.handle }]
          : [],
      ),
    )
  for (const station of stations) {
    const there = flagIn(station, kernel.native.list({ ...station, chain: 0 })) !== undefined
    if (there !== on) {
      const what = `${on ? 'setting' : 'lifting'} the flag at number ${station.ifindex}`
      throw flowerFault('FLOWER_KERNEL', { what, why: 'it was not there when read back' })
    }
  }
}

/** Interfaces of this network namespace that only ever carry fenced traffic. */
export const matching = (patterns: readonly string[]): readonly string[] =>
  patterns.length === 0
    ? []
    : readdirSync('/sys/class/net').filter((name) => patterns.some((pattern) => shellPattern(pattern).test(name)))

const shellPattern = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  )

/** What an interface is called, for a message; its number where nobody knows. */
export function nameOf(ifindex: number): string {
  for (const name of readdirSync('/sys/class/net')) {
    try {
      if (readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8').trim() === String(ifindex)) return name
    } catch {
      // It went away while it was looked for.
    }
  }
  return `interface ${ifindex}`
}
