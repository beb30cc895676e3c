// When the fence was last seen whole, kept beside the process that holds it: its pipes go with it, so the next one can say how
// long nothing passed. A moment too early is as good; one too late would hide an outage, so it is kept only after a look.

import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const EVERY_MS = 1_000

export class Alive {
  private readonly file: string | undefined
  private saidAtMs = Number.NEGATIVE_INFINITY

  /** `directory` may not exist yet; '' keeps nothing. */
  constructor(directory: string) {
    this.file = directory === '' ? undefined : join(directory, 'alive')
  }

  /** The fence is whole now. */
  beat(nowMs: number): void {
    if (this.file === undefined || Math.abs(nowMs - this.saidAtMs) < EVERY_MS) return
    this.saidAtMs = nowMs
    try {
      const seconds = nowMs / 1000
      utimesSync(this.file, seconds, seconds)
    } catch {
      this.begin(nowMs)
    }
  }

  /** undefined: it never was, or nobody kept it. */
  lastMs(): number | undefined {
    if (this.file === undefined) return undefined
    try {
      // Kept in whole milliseconds; a double of seconds is not always one.
      return Math.round(statSync(this.file).mtimeMs)
    } catch {
      // No file: nothing was ever live here, or nobody could keep it.
      return undefined
    }
  }

  private begin(nowMs: number): void {
    if (this.file === undefined) return
    try {
      mkdirSync(join(this.file, '..'), { recursive: true })
      writeFileSync(this.file, '')
      utimesSync(this.file, nowMs / 1000, nowMs / 1000)
    } catch {
      // A disk that takes nothing costs a measurement and no fence: the outage is then reckoned from an earlier moment.
    }
  }
}
