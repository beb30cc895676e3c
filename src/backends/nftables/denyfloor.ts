// The deny floor: a tc program at the egress of every interface, which drops what a workspace sends and what is sent to it
// unless the fence has marked it (src/native/bpf/floor.bpf.c). It is what holds when somebody flushes every nftables table.
// Loaded and attached by the native library; it needs no pins, and stays when the agent ends.

import { parseIp } from '../../base/ip.js'
import { nftablesFault } from './errors.js'
import { type Link, listLinks, native, nativeFile } from './native.js'
import { octetsOf } from './octets.js'
import { matchesPattern } from './scaffold.js'

export interface Guarded {
  readonly interface: string
  readonly addresses: readonly string[]
}

export class DenyFloor {
  private handle: unknown
  private guarded: readonly Guarded[] = []

  /** `patterns`: interfaces that may only ever carry fenced traffic are guarded whether they are attached or not. */
  constructor(private readonly patterns: readonly string[]) {}

  /** Knows what is guarded and takes over the program that stands already; changes nothing. */
  adopt(guarded: readonly Guarded[]): void {
    this.guarded = guarded.map(({ interface: name, addresses }) => ({ interface: name, addresses }))
    if (listLinks().some(({ index }) => native().floorAttached(index) === 1)) this.opened()
  }

  /** Takes over the attached program or loads one. Throws NFT_FLOOR. */
  private opened(): unknown {
    if (this.handle !== undefined) return this.handle
    const out: [unknown] = [null]
    const status = native().floorOpen(nativeFile('floor.bpf.o'), out, [0])
    if (status < 0) throw nftablesFault('NFT_FLOOR', { what: 'be loaded', errno: -status })
    this.handle = out[0]
    return this.handle
  }

  /** Guards these interfaces and addresses, and stands on every interface there is. */
  guard(guarded: readonly Guarded[]): void {
    // Whoever is guarded may come with a whole program, which is not to be kept.
    this.guarded = guarded.map(({ interface: name, addresses }) => ({ interface: name, addresses }))
    this.sync()
  }

  /** As `guard`, with what is guarded already: for interfaces that came meanwhile. */
  sync(): void {
    const handle = this.opened()
    const links = listLinks()
    const names = new Set(this.guarded.map(({ interface: name }) => name))
    const indexes = links
      .filter(({ name }) => names.has(name) || matchesPattern(name, this.patterns))
      .map(({ index }) => index)
    const addresses = [...new Set(this.guarded.flatMap((one) => one.addresses))]
    const v4 = pack(addresses.filter((text) => !text.includes(':')))
    const v6 = pack(addresses.filter((text) => text.includes(':')))
    const status = native().floorGuard(
      handle,
      Uint32Array.from(indexes),
      indexes.length,
      v4,
      v4.length / 4,
      v6,
      v6.length / 16,
    )
    if (status < 0) throw nftablesFault('NFT_FLOOR', { what: 'be told what to guard', errno: -status })
    for (const { name, index } of standingOn(links)) {
      const attached = native().floorAttach(handle, index)
      // ENODEV: it went away between the listing and now.
      if (attached < 0 && attached !== -19)
        throw nftablesFault('NFT_FLOOR', { what: `stand on ${name}`, errno: -attached })
    }
  }

  /** Interfaces that it does not stand on. */
  missing(): string[] {
    return standingOn(listLinks()).flatMap(({ name, index }) => (native().floorAttached(index) === 1 ? [] : [name]))
  }

  /** Packets that it dropped; 0n when it was never loaded. */
  drops(): bigint {
    if (this.handle === undefined) return 0n
    const out: [bigint | number] = [0n]
    const status = native().floorDrops(this.handle, out)
    return status < 0 ? 0n : BigInt(out[0])
  }

  /** Takes it off every interface. Gives their names. */
  remove(): string[] {
    const removed = listLinks().filter(({ index }) => native().floorDetach(index) === 0)
    for (const { index } of removed) native().linksTidy(index)
    this.guarded = []
    this.close()
    return removed.map(({ name }) => name)
  }

  /** Lets go of the handle; the program stays where it is. */
  close(): void {
    if (this.handle === undefined) return
    native().floorClose(this.handle)
    this.handle = undefined
  }
}

/** Nothing of a workspace leaves through loopback. */
const standingOn = (links: readonly Link[]): Link[] => links.filter(({ name }) => name !== 'lo')

const pack = (addresses: readonly string[]): Uint8Array =>
  Buffer.concat(addresses.map((text) => octetsOf(parseIp(text))))
