// Interfaces that come and go while a generation is live: a slot whose interface came later or was made anew is fenced under its
// number, in the live generation, as soon as the kernel tells of it. Until then the floor drops what it carries (floor.ts); a
// port of a bridge has no floor, so whoever makes one brings it up only after the fence hangs, which `observe` says.

import { attachAll } from './attach.js'
import type { Fence } from './fence.js'
import { nameFenced } from './floor.js'
import { type Book, openOf, writeBook } from './generation.js'
import { STRUCTS } from './layout.js'

/** The book as it is now; the same object when nothing changed. */
export function rehang(fence: Fence, book: Book, slot: number): Book {
  const { native } = fence
  const moved = book.workspaces.map((one) => {
    if (one.kind === 'cgroup') return one
    const attachment = native.ask('ifindex', one.interface)
    return attachment > 0 && attachment !== one.attachment ? { ...one, attachment } : one
  })
  const changed = moved.filter((one, i) => one !== book.workspaces[i])
  if (changed.length === 0) return book
  // Closed first: the program knows nobody under this number yet.
  attachAll(
    fence,
    changed.map((one) => one.attachment),
  )
  const records = openOf(fence, slot, 'workspaces')
  if (records === undefined) return book
  const { size } = STRUCTS.fence_workspace
  for (const [i, one] of moved.entries()) {
    const before = book.workspaces[i]
    if (!before || before === one) continue
    const [from, to, record] = [Buffer.alloc(4), Buffer.alloc(4), Buffer.alloc(size)]
    from.writeUInt32LE(before.attachment)
    to.writeUInt32LE(one.attachment)
    native.call('reading a workspace', 'mapRead', records, from, record)
    // The table has no room for one more: the old number is nobody's any longer.
    native.call('forgetting an interface', 'mapDelete', records, from)
    native.call('moving a workspace', 'mapWrite', records, to, record, 1, 4, size)
  }
  native.ask('close', records)
  for (const one of changed) nameFenced(fence, one.interface, one.attachment)
  const now = { ...book, workspaces: moved }
  writeBook(fence, slot, now)
  return now
}
