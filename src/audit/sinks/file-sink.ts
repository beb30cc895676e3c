// The sink `file`: one event a line, appended in batches, rotated by size and age into numbered files of which the newest are
// kept. A batch is there whole or not at all: a write that fails is cut back, and a torn end that a crash left is cut when the
// file is opened. Its last line says how far it is, so that a crash between the file and the cursor repeats nothing.

import { readdirSync, renameSync, rmSync } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncDirectory } from '../file.js'
import type { Sink, SinkLine, SinkPlace } from './sink.js'
import { placeOf } from './spool.js'

export interface FileSinkTerms {
  readonly path: string
  /** A new file is begun when the current one has that many octets, or was begun that long ago. */
  readonly rotateBytes: number
  readonly rotateMs: number
  /** Rotated files that stay; older ones are removed. */
  readonly keepFiles: number
  /** `batch`: on stable storage before a batch counts as delivered. `never`: the kernel decides. */
  readonly sync: 'batch' | 'never'
  readonly nowMs: () => number
}

const DIGITS = 8
/** More than two lines of ours. */
const TAIL_BYTES = 4 << 20

/** Opens or makes the file. Fails with the system's error. */
export async function openFileSink(terms: FileSinkTerms): Promise<Sink> {
  await mkdir(dirname(terms.path), { recursive: true, mode: 0o750 })
  const sink = new FileSink(terms)
  await sink.begin()
  return sink
}

class FileSink implements Sink {
  private handle: FileHandle | undefined
  private length = 0
  private begunMs = 0
  private newest: SinkPlace | undefined

  constructor(private readonly terms: FileSinkTerms) {}

  async begin(): Promise<void> {
    const { path, nowMs } = this.terms
    const { handle, length, place } = await openAtEnd(path)
    this.handle = handle
    this.length = length
    const { birthtimeMs } = await handle.stat()
    this.begunMs = Math.min(birthtimeMs, nowMs())
    this.newest = place ?? (await this.rotatedPlace())
  }

  last(): Promise<SinkPlace | undefined> {
    return Promise.resolve(this.newest)
  }

  async deliver(lines: readonly SinkLine[], signal: AbortSignal): Promise<void> {
    const { rotateBytes, rotateMs, nowMs } = this.terms
    signal.throwIfAborted()
    if (this.length > 0 && (this.length >= rotateBytes || nowMs() - this.begunMs >= rotateMs)) await this.rotate()
    const { handle } = this
    if (!handle) throw new TypeError('deliver after close')
    const octets = Buffer.from(lines.map(({ text }) => `${text}\n`).join(''))
    try {
      let at = 0
      while (at < octets.length)
        at += (await handle.write(octets, at, octets.length - at, this.length + at)).bytesWritten
      if (this.terms.sync === 'batch') await handle.datasync()
    } catch (error) {
      // A cut that fails too leaves a torn end, which the next opening cuts.
      await handle.truncate(this.length).catch(() => undefined)
      throw error
    }
    this.length += octets.length
    this.newest = lines.at(-1)
  }

  async close(): Promise<void> {
    await this.handle?.close()
    this.handle = undefined
  }

  private async rotate(): Promise<void> {
    const { path, keepFiles, nowMs } = this.terms
    await this.handle?.datasync()
    await this.close()
    const older = rotatedFiles(path)
    const number = (older.at(-1)?.number ?? 0) + 1
    renameSync(path, `${path}.${String(number).padStart(DIGITS, '0')}`)
    syncDirectory(dirname(path))
    for (const old of older.slice(0, Math.max(0, older.length + 1 - keepFiles))) rmSync(old.path, { force: true })
    const { handle } = await openAtEnd(path)
    this.handle = handle
    this.length = 0
    this.begunMs = nowMs()
  }

  private async rotatedPlace(): Promise<SinkPlace | undefined> {
    const newest = rotatedFiles(this.terms.path).at(-1)
    if (!newest) return undefined
    const { handle, place } = await openAtEnd(newest.path)
    await handle.close()
    return place
  }
}

/** Files of this sink that are complete, oldest first. */
export function rotatedFiles(path: string): readonly { readonly number: number; readonly path: string }[] {
  const name = basename(path)
  return readdirSync(dirname(path))
    .flatMap((entry) => {
      const digits = entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : ''
      return /^\d{8}$/.test(digits) ? [{ number: Number(digits), path: join(dirname(path), entry) }] : []
    })
    .sort((a, b) => a.number - b.number)
}

/** Cuts a torn end. On return the name of a file that was made is on stable storage. */
async function openAtEnd(path: string) {
  const handle = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return open(path, 'wx+', 0o640)
    throw error
  })
  try {
    const { size } = await handle.stat()
    if (size === 0) syncDirectory(dirname(path))
    const from = Math.max(0, size - TAIL_BYTES)
    const tail = Buffer.alloc(size - from)
    const { bytesRead } = await handle.read(tail, 0, tail.length, from)
    const text = tail.toString('latin1', 0, bytesRead)
    const end = text.lastIndexOf('\n') + 1
    if (from + end < size) await handle.truncate(from + end)
    const place = placeOf(text.slice(text.lastIndexOf('\n', end - 2) + 1, end))
    return { handle, length: from + end, ...(place ? { place } : {}) }
  } catch (error) {
    await handle.close()
    throw error
  }
}
