// A file of lines, read from front to back in bounded memory: batches of lines as they stand, one character an octet, so
// that a reader can hash exactly what is on the disk. A line longer than any of ours comes cut and marked.

import { type FileHandle, open } from 'node:fs/promises'

/** More than any event of ours: every text in it is bounded (`ocsf/event.ts`). */
export const MAX_LINE_BYTES = 1 << 20
const CHUNK_BYTES = 1 << 18

export interface Batch {
  /** Without their line feeds. */
  readonly lines: readonly string[]
  /** Octet at which the first of them begins. */
  readonly offset: number
  /** True for the rest of a file that does not end in a line feed, and for the pieces of an endless line. */
  readonly torn: boolean
}

/** Reads the file from `offset`, up to what it holds when the end is met. Fails with the system's error. */
export async function* linesIn(handle: FileHandle, offset = 0): AsyncGenerator<Batch> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let rest = ''
  let at = offset
  for (let position = offset; ; ) {
    const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, position)
    if (bytesRead === 0) break
    position += bytesRead
    const lines = (rest + chunk.toString('latin1', 0, bytesRead)).split('\n')
    rest = lines.pop() ?? ''
    if (lines.length > 0) yield { lines, offset: at, torn: false }
    at = position - rest.length
    if (rest.length <= MAX_LINE_BYTES) continue
    yield { lines: [rest], offset: at, torn: true }
    rest = ''
    at = position
  }
  if (rest !== '') yield { lines: [rest], offset: at, torn: true }
}

/** As `linesIn`, of the file at this path. */
export async function* linesOf(path: string, offset = 0): AsyncGenerator<Batch> {
  const handle = await open(path, 'r')
  try {
    yield* linesIn(handle, offset)
  } finally {
    await handle.close()
  }
}

/** A line that was read an octet a character, as text; what is not UTF-8 shows as U+FFFD. */
export const textOf = (line: string): string => Buffer.from(line, 'latin1').toString('utf8')
