// The files of a journal from its oldest segment to the live one, while others may be writing: a segment that is closed
// meanwhile is read as what it is, once, and no line is read twice or left out.

import { type FileHandle, open } from 'node:fs/promises'
import { type Batch, linesIn } from './lines.js'
import { isThere, listSegments, type Segment } from './segment.js'

export interface Part {
  readonly path: string
  /** Absent for the live segment. */
  readonly segment?: Segment
  readonly batches: AsyncGenerator<Batch>
}

/** `wanted` leaves closed segments out. A journal that is not there has no parts. Fails with the system's error. */
export async function* partsOf(path: string, wanted: (segment: Segment) => boolean = () => true): AsyncGenerator<Part> {
  let seen = 0
  for (;;) {
    const closed = listSegments(path).filter(({ number }) => number > seen)
    for (const segment of closed) {
      seen = segment.number
      if (!isThere(segment.path) || !wanted(segment)) continue
      const handle = await open(segment.path, 'r')
      try {
        yield { path: segment.path, segment, batches: linesIn(handle) }
      } finally {
        await handle.close()
      }
    }
    const live = await openIfThere(path)
    try {
      // Closed between the listing and the opening: it comes under its new name.
      if (listSegments(path).some(({ number }) => number > seen)) continue
      if (live) yield { path, batches: linesIn(live) }
      return
    } finally {
      await live?.close()
    }
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
