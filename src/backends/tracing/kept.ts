// What a driver keeps beside the kernel's maps: small files in its directory, each replaced whole.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export class Kept {
  constructor(private readonly directory: string) {}

  /** undefined: nothing was ever kept. */
  read(file: string): string | undefined {
    try {
      return readFileSync(join(this.directory, file), 'utf8')
    } catch {
      return undefined // it is not there yet; what the kernel holds says so too
    }
  }

  write(file: string, text: string): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    const path = join(this.directory, file)
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
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
