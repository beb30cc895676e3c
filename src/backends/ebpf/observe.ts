// What is live, read back from the kernel: the generation word, the book of its slot, flags, counters, drops, and where the
// fence hangs. Nothing here is remembered by the agent, except the names of learned grants' clauses.

import { Fault } from '../../base/fault.js'
import { DROP_REASONS } from '../../plan/state.js'
import type { GrantCounter, Observed } from '../backend.js'
import { attachedIndexes, interfacesOf, isWaiting, matches } from './attach.js'
import { groupIsAttached, groupPath } from './cgroup.js'
import type { Fence } from './fence.js'
import { type Book, openOf, readBook } from './generation.js'
import { COUNTS_AFTER_REASONS, GRANT_ROW, STRUCTS, viewOf } from './layout.js'
import type { Learned } from './learned.js'
import { grantIdAt } from './render.js'
import type { Sessions } from './sessions.js'
import { sweepAll } from './sweep.js'
import type { Tenants } from './tenants.js'

/** Counts by row, summed over CPUs. */
export function readCounts(fence: Fence): bigint[] {
  const { native } = fence
  const rows = DROP_REASONS.length + COUNTS_AFTER_REASONS.length
  const cpus = native.ask('cpus')
  const values = Buffer.alloc(rows * cpus * 8)
  native.call('reading counts', 'arrayRead', fence.map('counts'), 0, values, rows, cpus * 8)
  return Array.from({ length: rows }, (_, row) => {
    let sum = 0n
    for (let cpu = 0; cpu < cpus; cpu++) sum += values.readBigUInt64LE((row * cpus + cpu) * 8)
    return sum
  })
}

export async function observe(
  fence: Fence,
  tenants: Tenants,
  learned: Learned,
  sessions: Sessions,
  patterns: readonly string[],
): Promise<Observed> {
  const word = fence.word()
  const slot = Number(word & 1n)
  const generation = Number(word >> 1n)
  const book = word === 0n ? undefined : readBook(fence, slot)
  const counts = readCounts(fence)
  const { observed, ...drops } = Object.fromEntries(
    [...DROP_REASONS, ...COUNTS_AFTER_REASONS].map((reason, row) => [reason, counts[row] ?? 0n] as const),
  )
  if (!book)
    return {
      live: null,
      drift: word === 0n ? [] : [`generation ${generation} is live, but its maps are gone`],
      counters: [],
      drops,
    }
  return {
    live: {
      generation,
      planDigest: book.planDigest,
      workspaces: book.workspaces.map((one) => one.workspace),
      quarantined: tenants.flagged('quarantined'),
      suspended: tenants.flagged('suspended'),
      learned: learned.list(),
      sessions: sessions.list(),
    },
    drift: driftOf(fence, book, generation, patterns),
    counters: await countersOf(fence, book, slot),
    drops,
    ...(observed === undefined ? {} : { observed }),
  }
}

function driftOf(fence: Fence, book: Book, generation: number, patterns: readonly string[]): string[] {
  const drift: string[] = []
  if (book.generation !== generation)
    drift.push(`the word says generation ${generation}, its maps say ${book.generation}`)
  const attached = attachedIndexes(fence)
  const interfaces = interfacesOf(fence)
  for (const one of book.workspaces) {
    if (one.kind === 'cgroup') {
      const say = groupDrift(fence, one)
      if (say) drift.push(say)
      continue
    }
    const now = interfaces.find(({ name }) => name === one.interface)
    if (!now && isWaiting(one.attachment)) continue
    if (!now) drift.push(`${one.interface}, the slot of ${one.workspace}, is gone`)
    else if (isWaiting(one.attachment))
      drift.push(`${one.interface}, the slot of ${one.workspace}, has come and is not fenced yet`)
    else if (now.index !== one.attachment) drift.push(`${one.interface}, the slot of ${one.workspace}, was made anew`)
    else if (!attached.has(now.index)) drift.push(`the fence does not hang on ${one.interface}`)
  }
  for (const { index, name } of interfaces)
    if (matches(name, patterns) && !attached.has(index)) drift.push(`${name} should be closed, and nothing hangs on it`)
  return drift
}

function groupDrift(fence: Fence, one: Book['workspaces'][number]): string | undefined {
  let path: string
  try {
    path = groupPath(one)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return `the cgroup ${one.interface} of ${one.workspace} is gone`
  }
  return groupIsAttached(fence, path, one.tenant) ? undefined : `the fence does not hang on the cgroup ${one.interface}`
}

/** Counters that moved. The rows are read on another thread: there may be millions. */
async function countersOf(fence: Fence, book: Book, slot: number): Promise<GrantCounter[]> {
  const { native } = fence
  // Flows bring what they have counted.
  await sweepAll(fence, book)
  const counters = openOf(fence, slot, 'counters')
  const grants = openOf(fence, slot, 'grants')
  const list: GrantCounter[] = []
  if (counters !== undefined && grants !== undefined && book.grants > 0) {
    const { size, fields } = STRUCTS.fence_counter
    const values = Buffer.alloc(book.grants * size)
    const rows = Buffer.alloc(book.grants * GRANT_ROW.size)
    await native.callAsync('reading counters', 'arrayRead', counters, 0, values, book.grants, size)
    await native.callAsync('reading grants', 'arrayRead', grants, 0, rows, book.grants, GRANT_ROW.size)
    const view = viewOf(rows)
    for (let grant = 0; grant < book.grants; grant++) {
      const packets = values.readBigUInt64LE(grant * size + fields.packets)
      const bytes = values.readBigUInt64LE(grant * size + fields.octets)
      if (packets === 0n) continue
      const owner = rows.readUInt16LE(grant * GRANT_ROW.size + GRANT_ROW.fields.owner)
      list.push({
        workspace: book.workspaces[owner]?.workspace ?? '',
        grant: grantIdAt(view, grant),
        packets,
        bytes,
      })
    }
  }
  for (const map of [counters, grants]) if (map !== undefined) native.ask('close', map)
  return list
}
