// Where a journal lies on the disk: `PATH` is the segment that is written to; `PATH.00000001` and on are closed segments, and
// `PATH.00000001.seal` is the seal of each. Names only, and the order of steps that moves one to the next so that a crash
// between any two is seen at the next opening.

import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncDirectory } from './file.js'

export interface Segment {
  readonly number: number
  readonly path: string
  readonly sealPath: string
  readonly sealed: boolean
}

const DIGITS = 8
const WANTED = new RegExp(`^\\.(\\d{${DIGITS}})(\\.seal)?$`)

export const segmentPath = (path: string, number: number): string => `${path}.${String(number).padStart(DIGITS, '0')}`
export const sealPath = (path: string, number: number): string => `${segmentPath(path, number)}.seal`

/** Closed segments and lonely seals, by number. A folder that is not there has none. */
export function listSegments(path: string): readonly Segment[] {
  const name = basename(path)
  const found = new Map<number, { segment: boolean; sealed: boolean }>()
  for (const entry of namesIn(dirname(path))) {
    const match = entry.startsWith(name) ? WANTED.exec(entry.slice(name.length)) : null
    if (!match) continue
    const number = Number(match[1])
    const known = found.get(number) ?? { segment: false, sealed: false }
    found.set(number, match[2] === undefined ? { ...known, segment: true } : { ...known, sealed: true })
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([number, { sealed }]) => ({
      number,
      path: segmentPath(path, number),
      sealPath: sealPath(path, number),
      sealed,
    }))
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export const isThere = (path: string): boolean => existsSync(path)
/** True for a file without octets, and for none. */
export const isEmpty = (path: string): boolean => !existsSync(path) || statSync(path).size === 0
export const readSealFile = (path: string): string => readFileSync(path, 'utf8')

/** Closes the live segment: on return its new name is on stable storage, and there is no live file. */
export function closeSegment(path: string, number: number): void {
  renameSync(path, segmentPath(path, number))
  syncDirectory(dirname(path))
}

/** Puts a seal beside its segment, whole or not at all. */
export async function writeSeal(path: string, number: number, content: string): Promise<void> {
  const target = sealPath(path, number)
  const temporary = `${target}.new`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  renameSync(temporary, target)
  syncDirectory(dirname(path))
}

/** Removes a closed segment, its seal last: a seal alone says that the segment was there. */
export function removeSegment(segment: Segment): void {
  rmSync(segment.path, { force: true })
  rmSync(segment.sealPath, { force: true })
  syncDirectory(dirname(segment.path))
}

/** Everything that a journal has on the disk. */
export const filesOfJournal = (path: string): readonly string[] => {
  const name = basename(path)
  return namesIn(dirname(path))
    .filter(
      (entry) =>
        entry === name || (entry.startsWith(name) && WANTED.test(entry.slice(name.length).replace(/\.new$/, ''))),
    )
    .map((entry) => join(dirname(path), entry))
}
