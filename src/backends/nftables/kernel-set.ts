// Elements of our sets straight to the kernel (src/native/elements.c), for what must be quick: one learned grant, a flag, the bulk
// of a load. libnftables reads every table, chain and set and all intervals before each change, which costs half a millisecond
// however small the change is. One call is one transaction, on a thread of the pool, so that nothing waits for the kernel's lock
// on the agent's own; flags have a way of their own (line.ts), and so has what is small and often asked for (aside.ts).

import { type Digest, digestOf } from '../../base/digest.js'
import { formatIp, parseIp } from '../../base/ip.js'
import { nftablesFault } from './errors.js'
import { NftError } from './libnftables.js'
import { native, onPool } from './native.js'
import { ipOf, octetsOf, writeOctets } from './octets.js'
import type { ReadElement } from './readback.js'
import { TABLE } from './scaffold.js'
import type { TableFamily } from './script.js'

/** NFPROTO_* of linux/netfilter.h. */
export const NFPROTO: Readonly<Record<TableFamily, number>> = { inet: 1, arp: 3, netdev: 5, bridge: 7 }
const PROTOCOL: Readonly<Record<string, number>> = { tcp: 6, udp: 17 }
/** Address, protocol and port as a key, by family. */
const TUPLE_OCTETS = { 4: 12, 6: 24 } as const
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1
const encoder = new TextEncoder()

export interface KernelElement {
  readonly family: TableFamily
  readonly set: string
  readonly key: Uint8Array
  /** There or not, it is gone after it. What was there must have had the same mark. */
  readonly remove?: boolean
  /** The value of an element of a map. */
  readonly mark?: number
  /** Milliseconds, at least one. */
  readonly timeoutMs?: number
  /** At most 127 octets; more is cut. */
  readonly comment?: string
}

/** `struct sluice_element` of src/native/sluice_native.h. */
const ELEMENT_OCTETS = 256
const AT = {
  family: 0,
  remove: 1,
  hasMark: 2,
  keyLength: 4,
  mark: 8,
  timeout: 16,
  set: 24,
  key: 56,
  comment: 120,
} as const

/** One transaction; nothing for no elements. Rejects with NftError, and then nothing was changed. */
export async function applyElements(elements: readonly KernelElement[]): Promise<void> {
  if (elements.length === 0) return
  const done = await onPool(native().elementsApply, TABLE, packElements(elements), elements.length)
  if (done < 0) throw new NftError(`the kernel refuses the change of ${elements.length} elements: errno ${-done}`)
}

/** As `struct sluice_element`, one after another. */
export function packElements(elements: readonly KernelElement[]): Uint8Array {
  const packed = new Uint8Array(elements.length * ELEMENT_OCTETS)
  for (const [i, element] of elements.entries()) pack(packed.subarray(i * ELEMENT_OCTETS), element)
  return packed
}

function pack(record: Uint8Array, { family, set, key, remove, mark, timeoutMs, comment }: KernelElement): void {
  const view = new DataView(record.buffer, record.byteOffset, ELEMENT_OCTETS)
  record[AT.family] = NFPROTO[family]
  record[AT.remove] = remove ? 1 : 0
  record[AT.hasMark] = mark === undefined ? 0 : 1
  view.setUint32(AT.keyLength, key.length, LITTLE_ENDIAN)
  view.setUint32(AT.mark, mark ?? 0, LITTLE_ENDIAN)
  const lifeMs = timeoutMs === undefined ? 0n : BigInt(Math.max(1, Math.floor(timeoutMs)))
  view.setBigUint64(AT.timeout, lifeMs, LITTLE_ENDIAN)
  record.set(encoder.encode(set), AT.set)
  record.set(key, AT.key)
  record.set(encoder.encode(comment ?? '').subarray(0, 127), AT.comment)
}

/** Adds keys of one length to a set of the inet table, in one transaction. Rejects with NftError. */
export async function addKeys(set: string, keys: Uint8Array, count: number): Promise<void> {
  const families = Uint8Array.of(NFPROTO.inet)
  const done = await onPool(native().elementsChange, families, 1, TABLE, set, keys, keys.length / count, count, 1)
  if (done < 0) throw new NftError(`the kernel refuses ${count} elements of ${set}: errno ${-done}`)
}

/** `struct sluice_counted`: the key in 24 octets, packets, bytes. */
const COUNTED_OCTETS = 40
const EINTR = 4
/** A reading that the set changed under is made again. */
const READS = 5
const ENOENT = 2

export interface Tuples {
  /** As `tuplesDigest` gives it for the same elements. */
  readonly digest: Digest
  /** The elements whose counter is not 0, as `elementsOf` would give them. */
  readonly moved: readonly ReadElement[]
}

/**
 * A set of exact grants; undefined when it is not there. Only what counted becomes objects: a sweep looks at a hundred thousand
 * grants every few seconds, and few of them are used. `sizes` has how many elements are expected of a set by its name, and is told how
 * many there were. Throws NFT_READ, also for a set that is changed again and again while it is read.
 */
export async function readTuples(set: string, family: 4 | 6, sizes: Map<string, number>): Promise<Tuples | undefined> {
  const keyLength = TUPLE_OCTETS[family]
  const totals = new Uint32Array(2)
  for (let left = READS; ; left--) {
    if (left === 0)
      throw nftablesFault('NFT_READ', { what: `set ${set}`, why: `it changed during each of ${READS} readings` })
    // Room for all to have counted: traffic, which decides how many did, must not be able to have a set read once more. Memory that is
    // not written to is not taken.
    const capacity = (sizes.get(set) ?? 960) + 64
    const keys = new Uint8Array(capacity * keyLength)
    const moved = new Uint8Array(capacity * COUNTED_OCTETS)
    const read = native().elementsCounted
    const count = await onPool(read, TABLE, set, keyLength, keys, capacity, moved, capacity, totals)
    if (count === -ENOENT) return undefined
    if (count < 0 && count !== -EINTR) throw nftablesFault('NFT_READ', { what: `set ${set}`, why: `errno ${-count}` })
    const [there = 0, counted = 0] = totals
    if (there > (sizes.get(set) ?? 0) || count >= 0) sizes.set(set, there)
    if (count >= 0 && there <= capacity)
      return { digest: digestOf(keys.subarray(0, count * keyLength)), moved: unpackMoved(moved, counted, family) }
  }
}

function unpackMoved(records: Uint8Array, count: number, family: 4 | 6): ReadElement[] {
  const view = new DataView(records.buffer)
  const size = family === 4 ? 4 : 16
  return Array.from({ length: count }, (_, i) => {
    const at = i * COUNTED_OCTETS
    const address =
      family === 4
        ? `${records[at]}.${records[at + 1]}.${records[at + 2]}.${records[at + 3]}`
        : formatIp(ipOf(records, at, 6))
    const port = view.getUint16(at + size + 4)
    return {
      key: `${address} . ${records[at + size] === PROTOCOL.tcp ? 'tcp' : 'udp'} . ${port}`,
      packets: view.getBigUint64(at + 24, LITTLE_ENDIAN),
      bytes: view.getBigUint64(at + 32, LITTLE_ENDIAN),
    }
  })
}

/** Of lists of exact grants that were loaded: reading their addresses a second time would cost a switch what it cost to load them. */
const loaded = new WeakMap<readonly string[], Digest>()

/** Keeps the digest of what was loaded, from the keys that went to the kernel, in pieces. */
export function tuplesLoaded(elements: readonly string[], keys: readonly Uint8Array[]): void {
  loaded.set(elements, digestOfKeys(joinKeys(...keys), elements.length))
}

/** Of exact grants of one family, in whatever order: of their keys, sorted. */
export const tuplesDigest = (elements: readonly string[]): Digest =>
  loaded.get(elements) ?? digestOfKeys(packTuples(elements), elements.length)

/** Sorts the keys where they are. */
function digestOfKeys(keys: Uint8Array, count: number): Digest {
  if (count > 0) native().keysSort(keys, keys.length / count, count)
  return digestOf(keys)
}

/** An interface's name as a key, or the first field of one. */
export function nameKey(name: string): Uint8Array {
  const key = new Uint8Array(16)
  key.set(encoder.encode(name))
  return key
}

export const addressKey = (address: string): Uint8Array => octetsOf(parseIp(address))

/** Address, protocol and port, each padded to four octets, as the kernel keeps a concatenation. */
export function tupleKey(address: string, protocol: string, port: number): Uint8Array {
  const key = new DataView(new ArrayBuffer(TUPLE_OCTETS[address.includes(':') ? 6 : 4]))
  writeTuple(key, 0, address, protocol, port)
  return new Uint8Array(key.buffer)
}

function writeTuple(into: DataView, at: number, address: string, protocol: string, port: number): void {
  const ip = parseIp(address)
  if (!ip) throw new NftError(`${address} is no address`)
  const after = at + writeOctets(into, at, ip)
  into.setUint8(after, PROTOCOL[protocol] ?? 0)
  into.setUint16(after + 4, port)
}

/** `ADDRESS . PROTOCOL . PORT`, all of one family, one key after another. */
export function packTuples(elements: readonly string[]): Uint8Array {
  const octets = TUPLE_OCTETS[elements[0]?.includes(':') === true ? 6 : 4]
  const keys = new DataView(new ArrayBuffer(elements.length * octets))
  for (const [i, element] of elements.entries()) {
    const [address = '', protocol = '', port] = element.split(' . ')
    writeTuple(keys, i * octets, address, protocol, Number(port))
  }
  return new Uint8Array(keys.buffer)
}

export function joinKeys(...parts: readonly Uint8Array[]): Uint8Array {
  const key = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    key.set(part, at)
    at += part.length
  }
  return key
}
