// A workspace's place in this kernel: its interface with its number, and the stations where it is judged. The base of a station
// (the refusal at its end, and a flag above it when one is set) stands before anything is loaded, and stays until uninstall.

import { readdirSync, readFileSync } from 'node:fs'
import type { WorkspaceId } from '../../plan/model.js'
import { flowerFault } from './errors.js'
import type { Kernel } from './kernel.js'
import type { Native } from './native.js'
import { flagRule, lastRule, type Ports, PRIO, placeOf, type Station, stationsOf } from './place.js'
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

/** undefined: the interface, or the uplink, is not there. */
export function postOf(native: Native, uplink: string | undefined, seat: Seat): Post | undefined {
  const slot = native.ifindex(seat.interface)
  const up = uplink === undefined ? undefined : native.ifindex(uplink)
  if (slot === 0 || up === 0) return undefined
  const ports: Ports = { slot, number: seat.number, ...(up === undefined ? {} : { uplink: up }) }
  return { ...seat, ports, stations: stationsOf(ports, seat.mac) }
}

/** Throws FLOWER_UPLINK_ABSENT, FLOWER_SLOT_ABSENT. */
export function requirePost(native: Native, uplink: string | undefined, seat: Seat & { workspace: WorkspaceId }): Post {
  if (uplink !== undefined && native.ifindex(uplink) === 0)
    throw flowerFault('FLOWER_UPLINK_ABSENT', { interface: uplink })
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

/** There, and in hardware where it has to be. */
const inForce = (station: Station, ports: Ports, found: Found | undefined): boolean =>
  found !== undefined && (found.inHardware || placeOf(station, ports) === 'software')

/** Throws FLOWER_NOT_OFFLOADED for a filter of chain 0 that was put and is not in force, FLOWER_KERNEL when it is not there. */
export function requireInForce(
  kernel: Kernel,
  { stations, ports, interface: name }: Post,
  which: (station: Station, found: readonly Found[]) => Found | undefined,
  filter: string,
): void {
  for (const station of stations) {
    const found = which(station, kernel.native.list({ ...station, chain: 0 }))
    if (inForce(station, ports, found)) continue
    if (found) throw flowerFault('FLOWER_NOT_OFFLOADED', { interface: name, filter, why: 'it is not in hardware' })
    throw flowerFault('FLOWER_KERNEL', { what: `${filter} of ${name}`, why: 'it was not there when read back' })
  }
}

/**
 * Closes every station of a post that was not closed yet; each that it is the first to close goes to `added`, also when it fails.
 * Throws FLOWER_KERNEL, FLOWER_NOT_OFFLOADED.
 */
export function lay(kernel: Kernel, post: Post, flags: Flags, added: Post[] = []): void {
  for (const station of post.stations) {
    const found = baseIn(station, kernel.native.list({ ...station, chain: 0 }))
    if (inForce(station, post.ports, found)) continue
    if (!found) added.push({ ...post, stations: [station] })
    kernel.makeHooks(station.ifindex)
    kernel.put([lastRule(station, post.ports)], true)
  }
  requireInForce(kernel, post, baseIn, 'the refusal at the end')
  raise(kernel, post, flags)
}

/**
 * Sets or lifts the flag of a post, both directions in one system call, and reads it back. Throws FLOWER_KERNEL,
 * FLOWER_NOT_OFFLOADED.
 */
export function raise(kernel: Kernel, post: Post, flags: Flags): void {
  const { stations, ports } = post
  if (flags.quarantined || flags.suspended) {
    kernel.put(
      stations.map((station) => flagRule(station, ports, flags)),
      true,
    )
    requireInForce(kernel, post, flagIn, 'the flag')
    return
  }
  const set = stations.filter((station) => flagIn(station, kernel.native.list({ ...station, chain: 0 })))
  kernel.take(set.map(({ ifindex, hook, handle }) => ({ ifindex, hook, chain: 0, priority: PRIO.flag, handle })))
}

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
