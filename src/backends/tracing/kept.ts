// What a driver keeps beside the kernel's maps: small files in its directory, each replaced whole.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Fault } from '../../base/fault.js'

export class Kept {
  /** `refused`: what the backend says when a file cannot be written. */
  constructor(
    private readonly directory: string,
    private readonly refused: (details: { file: string }, options: { cause: unknown }) => Fault,
  ) {}

  /** undefined: nothing was ever kept. */
  read(file: string): string | undefined {
    try {
      return readFileSync(join(this.directory, file), 'utf8')
    } catch {
      return undefined // it is not there yet; what the kernel holds says so too
    }
  }

  /** Throws the backend's `refused`; what was kept before is kept. */
  write(file: string, text: string): void {
    const path = join(this.directory, file)
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 })
      writeFileSync(`${path}.new`, text, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    } catch (cause) {
      throw this.refused({ file: path }, { cause })
    }
  }

  /** As the value that was kept; `otherwise` where nothing was, or a crash tore it. */
  value<T>(file: string, otherwise: T): T {
    try {
      return JSON.parse(this.read(file) ?? '') as T
    } catch {
      return otherwise // then what is live shows as drift, and is put back
    }
  }

  /** How many losses were told, over the life of the maps; 0 where nobody knows: then they are told once more, and none is hidden. */
  told(file: string): bigint {
    const text = this.read(file) ?? ''
    return /^\d+$/.test(text) ? BigInt(text) : 0n
  }
}
