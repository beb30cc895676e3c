// A table of ours as the kernel holds it (src/native/ruleset.c), for every look at what stands: which objects there are, what the
// counters say, and a digest of all that was put there. libnftables reads the tables of every family for one of them and prints
// what it read, which was most of what a look and a switch cost; it is asked where handles and words are wanted (inspect.ts).

import { digestOf } from '../../base/digest.js'
import { nftablesFault } from './errors.js'
import { NFPROTO } from './kernel-set.js'
import type { NftObject } from './libnftables.js'
import { native, onPool } from './native.js'
import { TABLE } from './scaffold.js'
import type { TableFamily } from './script.js'

/** An object with what the kernel says of it; of rules and chains without that, nothing can be compared. */
export interface KernelObject extends NftObject {
  /** Netlink attributes that somebody chose: no handle, no counter, no number of users. */
  readonly octets: Uint8Array
  /** Elements of an anonymous set, by its name: part of the rules that name it. */
  readonly members?: { readonly name: string }
}

/** `struct sluice_object`. */
const HEAD_OCTETS = 24
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1
const EINTR = 4
/** Readings that a transaction fell into; each takes a millisecond. */
const ATTEMPTS = 50
let room = 1 << 18

/** None where there is no such table. Throws NFT_READ, also for a ruleset that never stands still. */
export async function readRuleset(family: TableFamily): Promise<readonly KernelObject[]> {
  for (let left = ATTEMPTS; ; ) {
    const records = new Uint8Array(room)
    const total = new Uint32Array(1)
    const count = await onPool(native().rulesetRead, NFPROTO[family], TABLE, records, records.length, total)
    if (count < 0 && (count !== -EINTR || --left === 0))
      throw nftablesFault('NFT_READ', { what: `the ${family} table`, why: `errno ${-count}` })
    if (count < 0) continue
    const [needed = 0] = total
    if (needed <= records.length) return unpack(records, needed, family)
    room = needed * 2
  }
}

function unpack(records: Uint8Array, length: number, family: TableFamily): KernelObject[] {
  const view = new DataView(records.buffer)
  const bytes = Buffer.from(records.buffer)
  const objects: KernelObject[] = []
  for (let at = 0; at < length; ) {
    const octetCount = view.getUint32(at, LITTLE_ENDIAN)
    const from = at + HEAD_OCTETS + view.getUint16(at + 4, LITTLE_ENDIAN)
    const named = { family, table: TABLE, name: bytes.toString('latin1', at + HEAD_OCTETS, from), handle: 0 }
    const octets = records.subarray(from, from + octetCount)
    const kind = KINDS[view.getUint8(at + 6)] ?? 'other'
    if (kind === 'rule') objects.push({ rule: { family, table: TABLE, chain: named.name, expr: undefined }, octets })
    else if (kind === 'counter') {
      const packets = Number(view.getBigUint64(at + 8, LITTLE_ENDIAN))
      const counted = Number(view.getBigUint64(at + 16, LITTLE_ENDIAN))
      objects.push({ counter: { family, table: TABLE, name: named.name, packets, bytes: counted }, octets })
    } else objects.push({ [kind]: named, octets })
    at = (from + octetCount + 7) & ~7
  }
  return objects
}

/** SLUICE_OBJECT_* of src/native/sluice_native.h. */
const KINDS = [undefined, 'table', 'chain', 'rule', 'set', 'members', 'counter', 'other', 'other'] as const

/** Name of the chain or set that an object is or belongs to. */
const ownerOf = ({ chain, set, rule, members }: KernelObject): string =>
  chain?.name ?? set?.name ?? rule?.chain ?? members?.name ?? ''

const kindOf = ({ table, chain, set, rule, members }: KernelObject): string =>
  table ? 't' : chain ? 'c' : set ? 's' : rule ? 'r' : members ? 'm' : 'o'

/** What the kernel calls sets that a rule was written with. */
const ANONYMOUS = /__(?:set|map)\d+/g
const anonymousIn = (octets: Uint8Array): string[] =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1').match(ANONYMOUS) ?? []

/** Digests of another form are of an earlier release: nothing can be said by them. */
const FORM = 'kernel:'
export const isComparable = (structure: string): boolean => structure.startsWith(FORM)

/** Of the objects that a commit made: without other generations (staged ones) and without the chains of single interfaces. */
export function structureDigest(objects: readonly KernelObject[], live: RegExp | null): string {
  const mine = objects.filter((object) => {
    const owner = ownerOf(object)
    return !object.counter && !owner.startsWith('l2_') && (!/^w\d+_g/.test(owner) || live?.test(owner) === true)
  })
  const used = new Set(mine.flatMap(({ rule, octets }) => (rule ? anonymousIn(octets) : [])))
  const keyed = mine
    .map((object) => ({ key: `${kindOf(object)} ${ownerOf(object)}`, owner: ownerOf(object), object }))
    // Anonymous sets of other generations are whatever those made of them.
    .filter(({ owner, object }) => object.rule !== undefined || !owner.startsWith('__') || used.has(owner))
  // Chains and sets are listed in the order in which they were made; the rules of one chain in the order that counts.
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  const parts = keyed.flatMap(({ key, object: { octets } }) => [Buffer.from(`${key} ${octets.length}\n`), octets])
  return `${FORM}${digestOf(Buffer.concat(parts))}`
}
