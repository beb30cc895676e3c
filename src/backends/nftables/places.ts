// Which interface is the one that was attached: its index and its name together, in sets of the kernel. A name can be given to
// another interface and an index to another name; neither alone is the slot. What does not match is dropped by the ruleset,
// whichever process runs or does not; here the pairs are written, before a switch and after it, and compared with the
// interfaces that there are.

import { nftablesFault } from './errors.js'
import { NFPROTO } from './kernel-set.js'
import { type Link, listLinks, native, textAt } from './native.js'
import { TABLE } from './scaffold.js'

export interface Pair {
  readonly index: number
  readonly name: string
}

const PAIR_OCTETS = 20
const FAMILIES = Uint8Array.of(NFPROTO.inet, NFPROTO.arp, NFPROTO.bridge)

/** As the kernel keeps it: the index in the order of this machine, the name in sixteen octets. */
function packPairs(pairs: readonly Pair[]): Uint8Array {
  const packed = new Uint8Array(pairs.length * PAIR_OCTETS)
  for (const [i, { index, name }] of pairs.entries()) {
    packed.set(packIndexes([index]), i * PAIR_OCTETS)
    packed.set(new TextEncoder().encode(name), i * PAIR_OCTETS + 4)
  }
  return packed
}

const packIndexes = (indexes: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(indexes).buffer)

/** The pairs in the kernel. Throws NFT_READ. */
export function readPairs(): Pair[] {
  for (let capacity = 1024; ; capacity *= 4) {
    const keys = new Uint8Array(capacity * PAIR_OCTETS)
    const total: [number] = [0]
    const count = native().elementsList(TABLE, 'pairs', keys, PAIR_OCTETS, capacity, total)
    if (count < 0) throw nftablesFault('NFT_READ', { what: 'the attached interfaces', why: `errno ${-count}` })
    if (total[0] > capacity) continue
    const indexes = new Uint32Array(keys.buffer.slice(0))
    return Array.from({ length: count }, (_, i) => ({
      index: indexes[(i * PAIR_OCTETS) / 4] ?? 0,
      name: textAt(keys, i * PAIR_OCTETS + 4, 16),
    }))
  }
}

/** The indexes in the kernel that packets are known by. Throws NFT_READ. */
export function readIndexes(): number[] {
  for (let capacity = 1024; ; capacity *= 4) {
    const keys = new Uint8Array(capacity * 4)
    const total: [number] = [0]
    const count = native().elementsList(TABLE, 'indexed', keys, 4, capacity, total)
    if (count < 0)
      throw nftablesFault('NFT_READ', { what: 'the indexes of attached interfaces', why: `errno ${-count}` })
    if (total[0] <= capacity) return [...new Uint32Array(keys.buffer, 0, count)]
  }
}

/** The pairs that these names are now; a name without an interface has none. */
export const pairsOf = (names: readonly string[], links: readonly Link[] = listLinks()): Pair[] =>
  links.filter(({ name }) => names.includes(name)).map(({ index, name }) => ({ index, name }))

/** Throws NFT_PLACES. */
function change(set: string, packed: Uint8Array, size: number, add: boolean): void {
  const count = packed.length / size
  const done = native().elementsChange(
    FAMILIES,
    FAMILIES.length,
    TABLE,
    set,
    packed,
    size,
    count,
    add ? 1 : 0,
  ) as number
  if (done < 0) throw nftablesFault('NFT_PLACES', { errno: -done })
}

/** Before a switch, and for an interface that came: the pair alone attaches nothing. Throws NFT_PLACES. */
export function addPairs(pairs: readonly Pair[]): void {
  change('indexed', packIndexes(pairs.map(({ index }) => index)), 4, true)
  change('pairs', packPairs(pairs), PAIR_OCTETS, true)
}

/** After a switch: what is no longer attached. Throws NFT_PLACES. */
export function keepPairs(wanted: readonly Pair[]): void {
  const keep = new Set(wanted.map(({ index, name }) => `${index} ${name}`))
  const stale = readPairs().filter(({ index, name }) => !keep.has(`${index} ${name}`))
  const indexes = stale.map(({ index }) => index).filter((index) => !wanted.some((one) => one.index === index))
  change('pairs', packPairs(stale), PAIR_OCTETS, false)
  change('indexed', packIndexes(indexes), 4, false)
}

/** What is not as it was attached, a sentence each; all of it is denied until the next commit. */
export function placeDrift(
  names: readonly string[],
  links: readonly Link[] = listLinks(),
  pairs: readonly Pair[] = readPairs(),
  indexes: readonly number[] = readIndexes(),
): string[] {
  const drift: string[] = []
  for (const { index, name } of pairs)
    if (!indexes.includes(index)) drift.push(`interface ${name} (index ${index}) is paired and not known by its index`)
  for (const name of names) {
    const now = links.find((link) => link.name === name)
    const was = pairs.find((pair) => pair.name === name)
    const moved = was && links.find((link) => link.index === was.index)
    if (!was && now) drift.push(`interface ${name} came after the commit, and nothing of it passes until the next one`)
    else if (was && !now)
      drift.push(
        moved
          ? `interface ${name} is called ${moved.name} now, and nothing of it passes`
          : `interface ${name} is gone since the commit`,
      )
    else if (was && now && was.index !== now.index)
      drift.push(`interface ${name} is another one than was attached, and nothing of it passes until the next commit`)
    if (now && now.master !== 0) {
      const master = links.find(({ index }) => index === now.master)?.name ?? `interface ${now.master}`
      drift.push(`interface ${name} is a port of ${master}, and nothing of it passes`)
    }
  }
  for (const { index, name } of pairs)
    if (!names.includes(name)) drift.push(`interface ${name} (index ${index}) is paired, and nobody attached it`)
  return drift
}
