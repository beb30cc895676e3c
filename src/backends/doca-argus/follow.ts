// The files that Argus writes, followed through rotation: each is known by its number on the disk, so that one that is renamed is read
// to its end, and one that takes its name is read from its beginning. Gives whole lines, oldest file first, at most a few
// megabytes a look; keeps how far it came. A file that shrank is begun anew. Lines that are too long are passed over and counted.
// A file that is not seen may be between two names, or in a folder that could not be listed: its position is kept for some looks.

import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf } from '../../base/digest.js'
import { MAX_LINE } from '../../process/argus.js'
import type { Position } from './record.js'

const NAME = /^doca_argus_log.*\.log(\.\d+)?$/
const DEPTH = 4
const MOST_FILES = 1_024
/** Of one look. */
export const MOST_OCTETS = 4 << 20
const HEAD = 256
/** Looks in a row without a file, before it counts as gone. */
const ABSENT_LOOKS = 8
const NEWLINE = 0x0a

export interface Lines {
  readonly lines: readonly string[]
  /** Lines that were too long. */
  readonly long: number
  /** There is more to read at once. */
  readonly more: boolean
}

export class ArgusFiles {
  private readonly positions: Map<string, Position>
  /** Octets of a line that is too long, up to its end, are passed over. */
  private readonly skipping = new Set<string>()
  /** How many looks did not see it. */
  private readonly absent = new Map<string, number>()

  /** Without positions, what is in the files already is not looked at: it was written before anybody asked. */
  constructor(
    private readonly folder: string,
    positions: ReadonlyMap<string, Position> | undefined,
  ) {
    this.positions = new Map(positions)
    if (positions) return
    for (const { path, file, size } of this.list())
      this.positions.set(file, { file, offset: size, head: headOf(path, size) })
  }

  /** How far it came, for the next time. */
  held(): readonly Position[] {
    return [...this.positions.values()]
  }

  look(): Lines {
    const lines: string[] = []
    let [long, left, more] = [0, MOST_OCTETS, false]
    const found = this.list()
    this.forget(new Set(found.map(({ file }) => file)))
    for (const { path, file } of found) {
      if (left <= 0) {
        more = true
        break
      }
      const read = this.readFile(path, file, left, lines)
      left -= read.octets
      long += read.long
      more ||= read.more
    }
    return { lines, long, more }
  }

  private forget(there: ReadonlySet<string>): void {
    for (const file of this.positions.keys()) {
      const looks = there.has(file) ? 0 : (this.absent.get(file) ?? 0) + 1
      if (looks === 0 || looks >= ABSENT_LOOKS) this.absent.delete(file)
      else this.absent.set(file, looks)
      if (looks < ABSENT_LOOKS) continue
      this.positions.delete(file)
      this.skipping.delete(file)
    }
  }

  private readFile(path: string, file: string, most: number, lines: string[]) {
    const nothing = { octets: 0, long: 0, more: false }
    let open: number
    try {
      open = openSync(path, 'r')
    } catch {
      return nothing // renamed or removed since it was listed: the next look sees it where it is
    }
    try {
      const status = fstatSync(open)
      if (nameOf(status) !== file) return nothing
      const before = this.positions.get(file)
      const same = before && before.offset <= status.size && before.head === headIn(open, Math.min(HEAD, before.offset))
      const offset = same ? before.offset : 0
      if (offset === 0) this.skipping.delete(file)
      const octets = Buffer.alloc(Math.min(most, status.size - offset))
      const got = readSync(open, octets, 0, octets.length, offset)
      const { used, long } = this.split(octets.subarray(0, got), file, lines)
      const at = offset + used
      this.positions.set(file, { file, offset: at, head: headIn(open, Math.min(HEAD, at)) })
      return { octets: got, long, more: used > 0 && at < status.size }
    } finally {
      closeSync(open)
    }
  }

  /** Whole lines; how many octets were used, and how many lines were too long. */
  private split(octets: Buffer, file: string, lines: string[]): { used: number; long: number } {
    let [at, long] = [0, 0]
    for (;;) {
      const end = octets.indexOf(NEWLINE, at)
      if (end < 0) break
      if (this.skipping.delete(file)) long++
      else if (end - at > MAX_LINE) long++
      else if (end > at) lines.push(octets.toString('utf8', at, end))
      at = end + 1
    }
    if (octets.length - at <= MAX_LINE) return { used: this.skipping.has(file) ? octets.length : at, long }
    this.skipping.add(file)
    return { used: octets.length, long }
  }

  /** Oldest first. */
  private list(): readonly { path: string; file: string; size: number }[] {
    const found: { path: string; file: string; size: number; mtimeMs: number }[] = []
    const walk = (folder: string, depth: number): void => {
      if (depth > DEPTH) return
      let entries: ReturnType<typeof entriesOf>
      try {
        entries = entriesOf(folder)
      } catch {
        return // not there yet, or gone: Argus makes it when it has something to say
      }
      for (const entry of entries) {
        const path = join(folder, entry.name)
        if (entry.isDirectory()) walk(path, depth + 1)
        else if (entry.isFile() && NAME.test(entry.name) && found.length < MOST_FILES)
          try {
            const status = statSync(path)
            found.push({ path, file: nameOf(status), size: status.size, mtimeMs: status.mtimeMs })
          } catch {
            // renamed since it was listed: the next look sees it where it is
          }
      }
    }
    walk(this.folder, 0)
    return found.sort((a, b) => a.mtimeMs - b.mtimeMs || (a.path < b.path ? 1 : -1))
  }
}

const entriesOf = (folder: string) => readdirSync(folder, { withFileTypes: true })

const nameOf = ({ dev, ino }: { readonly dev: number; readonly ino: number }): string => `${dev}:${ino}`

function headIn(open: number, octets: number): string {
  const head = Buffer.alloc(octets)
  return digestOf(head.subarray(0, readSync(open, head, 0, octets, 0)))
}

function headOf(path: string, size: number): string {
  const open = openSync(path, 'r')
  try {
    return headIn(open, Math.min(HEAD, size))
  } finally {
    closeSync(open)
  }
}
