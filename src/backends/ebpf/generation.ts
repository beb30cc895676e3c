// The maps of one generation: made and filled while the old generation judges, published into the free slot, read back by the
// next agent. Filling runs on another thread, a few thousand entries a system call, so that a quarantine never waits.

import { existsSync, unlinkSync } from 'node:fs'
import type { Digest } from '../../base/digest.js'
import { type Fence, INNER_MAP, MAP_TYPE, MMAPABLE, NO_PREALLOC, OUTER, type OuterName } from './fence.js'
import { BUCKET, GRANT_ROW, STRUCTS, viewOf } from './layout.js'
import type { EbpfProgram } from './program.js'

/** What the agent writes into the kernel about a generation, for whoever observes it. */
export interface Book {
  readonly generation: number
  readonly planDigest: Digest
  readonly expiresAtMs: number
  /** The same on the boot-time clock, in decimal; absent in a book of an older agent. */
  readonly endsAtBootNs?: string
  readonly workspaces: readonly {
    readonly workspace: string
    readonly interface: string
    readonly kind: string
    readonly tenant: number
    readonly attachment: number
    readonly clauses: readonly string[]
  }[]
  readonly grants: number
}

/** The numbers of the machine for one workspace of the program. */
export interface Placement {
  readonly tenant: number
  readonly attachment: number
}

const MS = 1_000_000n

/** Makes, fills and publishes; nothing of it is live until the generation word says so. Gives what it wrote in the book. */
export async function buildGeneration(
  fence: Fence,
  program: EbpfProgram,
  placements: readonly Placement[],
  slot: number,
): Promise<Book> {
  const { native } = fence
  const made = new Map<string, number>()
  try {
    const make = (name: string, type: number, key: number, value: number, count: number, flags: number): number => {
      const map = native.call(`making ${name}`, 'mapCreate', type, key, value, Math.max(1, count), flags, name)
      made.set(name, map)
      return map
    }
    const exactKey = STRUCTS.fence_exact_key.size
    const prefixKey = STRUCTS.fence_prefix_key.size
    const prefixRow = STRUCTS.fence_prefix.size
    const rangeRow = STRUCTS.fence_range.size
    const record = STRUCTS.fence_workspace.size
    const { exact, facts, prefixes, ranges, grants } = program
    const lined = INNER_MAP | MMAPABLE
    // Making a large table takes memory page by page: on another thread too.
    made.set(
      'exact',
      await native.callAsync('making exact', 'mapCreate', MAP_TYPE.array, 4, BUCKET.size, exact.count, lined, 'exact'),
    )
    make('facts', MAP_TYPE.hash, exactKey, 4, facts.count, 0)
    make('prefixes', MAP_TYPE.lpm, prefixKey, prefixRow, prefixes.count, NO_PREALLOC)
    make('ranges', MAP_TYPE.array, 4, rangeRow, ranges.count, INNER_MAP)
    make('workspaces', MAP_TYPE.hash, 4, record, placements.length, 0)
    make('counters', MAP_TYPE.array, 4, STRUCTS.fence_counter.size, grants.count, INNER_MAP)
    make('grants', MAP_TYPE.array, 4, GRANT_ROW.size, grants.count, 0)
    const bootNs = native.bootNs()
    const book = bookOf(program, placements, bootNs)
    const text = Buffer.from(JSON.stringify(book), 'utf8')
    // A little more than it needs: an interface that is made anew may get a longer number.
    const page = Buffer.concat([text, Buffer.alloc(16 * placements.length + 1)])
    make('book', MAP_TYPE.array, 4, page.length, 1, 0)
    const map = (name: string): number => made.get(name) as number
    const keys = Buffer.alloc(placements.length * 4)
    const records = recordsOf(program, placements, bootNs)
    for (const [i, placement] of placements.entries()) keys.writeUInt32LE(placement.attachment, i * 4)
    await native.callAsync('filling exact', 'arrayWrite', map('exact'), 0, exact.values, exact.count, BUCKET.size)
    await native.callAsync(
      'filling facts',
      ...(['mapWrite', map('facts'), facts.keys, facts.values, facts.count, exactKey, 4] as const),
    )
    await native.callAsync(
      'filling prefixes',
      ...(['mapWrite', map('prefixes'), prefixes.keys, prefixes.values, prefixes.count, prefixKey, prefixRow] as const),
    )
    await native.callAsync('filling ranges', 'arrayWrite', map('ranges'), 0, ranges.values, ranges.count, rangeRow)
    await native.callAsync(
      'filling grants',
      'arrayWrite',
      map('grants'),
      0,
      grants.values,
      grants.count,
      GRANT_ROW.size,
    )
    native.call('filling workspaces', 'mapWrite', map('workspaces'), keys, records, placements.length, 4, record)
    native.call('filling the book', 'arrayWrite', map('book'), 0, page, 1, page.length)
    await publish(fence, slot, (name) => map(name))
    for (const [name, descriptor] of made) {
      const path = generationPath(fence, slot, name)
      if (existsSync(path)) unlinkSync(path)
      native.call(`pinning ${name}`, 'pin', descriptor, path)
    }
    return book
  } finally {
    for (const descriptor of made.values()) native.ask('close', descriptor)
  }
}

/** Empties a slot: when it returns no running program sees anything of it. */
export async function clearSlot(fence: Fence, slot: number): Promise<void> {
  await publish(fence, slot, () => -1)
  for (const name of [...OUTER, 'grants', 'book']) {
    const path = generationPath(fence, slot, name)
    if (existsSync(path)) unlinkSync(path)
  }
}

async function publish(fence: Fence, slot: number, inner: (name: OuterName) => number): Promise<void> {
  const outers = Int32Array.from(OUTER, (name) => fence.map(name))
  const inners = Int32Array.from(OUTER, inner)
  await fence.native.callAsync('publishing a generation', 'publish', outers, inners, OUTER.length, slot)
}

const generationPath = (fence: Fence, slot: number, name: string): string => `${fence.pins}/generations/${slot}/${name}`

/** A map of a generation, by its pin; the caller closes it. */
export function openOf(fence: Fence, slot: number, name: string): number | undefined {
  const path = generationPath(fence, slot, name)
  return existsSync(path) ? fence.native.call(`opening ${name}`, 'get', path) : undefined
}

/** What the kernel says about the generation in a slot; undefined when there is none. */
export function readBook(fence: Fence, slot: number): Book | undefined {
  const map = openOf(fence, slot, 'book')
  if (map === undefined) return undefined
  const text = Buffer.alloc(fence.native.call('measuring the book', 'mapValueSize', map))
  const answer = fence.native.ask('mapRead', map, Buffer.alloc(4), text)
  fence.native.ask('close', map)
  if (answer < 0) return undefined
  return JSON.parse(text.toString('utf8', 0, text.indexOf(0))) as Book
}

/** Writes the book of a slot again, where only numbers of interfaces have changed: there is room for longer ones. */
export function writeBook(fence: Fence, slot: number, book: Book): void {
  const map = openOf(fence, slot, 'book')
  if (map === undefined) return
  const page = Buffer.alloc(fence.native.call('measuring the book', 'mapValueSize', map))
  page.write(JSON.stringify(book), 'utf8')
  fence.native.call('writing the book', 'arrayWrite', map, 0, page, 1, page.length)
  fence.native.ask('close', map)
}

/** A moment of the wall clock, in milliseconds, on the boot-time clock; one that has passed is now. */
const onBootClock = (ms: number, bootNs: bigint): bigint => bootNs + BigInt(Math.max(0, ms - Date.now())) * MS

const bookOf = (program: EbpfProgram, placements: readonly Placement[], bootNs: bigint): Book => ({
  generation: program.generation,
  planDigest: program.planDigest,
  expiresAtMs: program.expiresAtMs,
  endsAtBootNs: String(onBootClock(program.expiresAtMs, bootNs)),
  workspaces: program.workspaces.map((one, i) => ({
    workspace: one.workspace,
    interface: one.interface,
    kind: one.kind,
    tenant: placements[i]?.tenant ?? 0,
    attachment: placements[i]?.attachment ?? 0,
    clauses: one.clauses,
  })),
  grants: program.grants.count,
})

function recordsOf(program: EbpfProgram, placements: readonly Placement[], bootNs: bigint): Buffer {
  const { size, fields } = STRUCTS.fence_workspace
  const records = Buffer.alloc(placements.length * size)
  for (const [i, placement] of placements.entries()) {
    const workspace = program.workspaces[i]
    if (!workspace) continue
    records.set(workspace.record, i * size)
    const view = viewOf(records.subarray(i * size, (i + 1) * size))
    view.setUint32(fields.tenant, placement.tenant, true)
    if (workspace.suspendsOnExpiry)
      view.setBigUint64(fields.deadline_ns, onBootClock(program.expiresAtMs, bootNs), true)
    if (workspace.observedUntilMs !== undefined)
      view.setBigUint64(fields.observe_ns, onBootClock(workspace.observedUntilMs, bootNs), true)
  }
  return records
}
