// Files that the operator names: read whole, written only where nothing stands unless the command owns them. Paths resolve
// against the host's working directory and are shown as they were typed.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { utf8 } from '../base/bytes.js'
import { LIMITS } from '../base/limits.js'
import { cliFault } from './errors.js'
import type { Host } from './host.js'

/** Throws CLI_FILE_UNREADABLE, CLI_FILE_KIND, CLI_FILE_TOO_LARGE. */
export const readFile = (
  host: Host,
  path: string,
  what: string,
  maxBytes: number = LIMITS.operatorFileBytes,
): Uint8Array => host.readFile(path, what, maxBytes)

export interface WriteOptions {
  /** 0644 when absent; keys are 0600. */
  readonly mode?: number
  /** Replaces what is there: only for files that the command itself owns. */
  readonly replace?: boolean
}

/** Makes the directories above it. Throws CLI_FILE_EXISTS and CLI_FILE_UNWRITABLE. */
export function writeFile(host: Host, path: string, content: string | Uint8Array, options: WriteOptions = {}): void {
  const absolute = resolve(host.cwd, path)
  try {
    mkdirSync(dirname(absolute), { recursive: true })
    const bytes = typeof content === 'string' ? utf8(content) : content
    writeFileSync(absolute, bytes, { mode: options.mode ?? 0o644, flag: options.replace ? 'w' : 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw cliFault('CLI_FILE_EXISTS', { path })
    throw cliFault('CLI_FILE_UNWRITABLE', { path }, { cause: error })
  }
}
