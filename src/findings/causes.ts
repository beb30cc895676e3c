// One cause, one finding: the first sign beyond its limit is told at once; what follows is counted and not told before the
// cool-down is over. If the cause was beyond its limit again meanwhile, one update with the count of all of it follows under the
// same uid, and another cool-down; otherwise the cause is over, and its next time is a finding of its own.

import { digestOfText } from '../base/digest.js'
import type { Beyond, Sign, Subject } from './sight.js'

/** What is to be told, in the words of the detector that found it. */
export interface Found<Kind extends string> {
  readonly finding: Kind
  /** The same for all that is told of one cause. */
  readonly uid: string
  readonly news: 'created' | 'updated'
  readonly atMs: number
  readonly firstAtMs: number
  readonly count: number
  readonly subject: Subject
  readonly beyond: Beyond
}

/** A cause that was told and is not over. */
export interface OpenCause<Kind extends string = string> {
  readonly finding: Kind
  readonly uid: string
  readonly cause: string
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly count: number
}

interface Open<Kind extends string> {
  readonly found: Found<Kind>
  readonly cause: string
  count: number
  lastAtMs: number
  quietFromMs: number
  again: Beyond | undefined
}

const MOST_OPEN = 4_096

export class Causes<Kind extends string> {
  private readonly open = new Map<string, Open<Kind>>()

  /** `node` is part of every uid: two nodes never share one. */
  constructor(
    private readonly node: string,
    private readonly cooldownMs: number,
  ) {}

  take(sign: Sign<Kind>): readonly Found<Kind>[] {
    const { finding, cause, atMs, count, subject, beyond } = sign
    const key = `${finding} ${cause}`
    const open = this.open.get(key)
    if (open) {
      open.count += count
      open.lastAtMs = Math.max(open.lastAtMs, atMs)
      open.again = beyond ?? open.again
      return []
    }
    if (!beyond) return []
    const { firstAtMs } = beyond
    const uid = `fnd-${digestOfText(JSON.stringify([this.node, finding, cause, firstAtMs])).slice(7, 39)}`
    const found: Found<Kind> = {
      ...{ finding, uid, news: 'created', atMs, firstAtMs, count: beyond.count, subject, beyond },
    }
    const quietFromMs = atMs + this.cooldownMs
    this.open.set(key, { found, cause, count: beyond.count, lastAtMs: atMs, quietFromMs, again: undefined })
    if (this.open.size > MOST_OPEN)
      for (const oldest of this.open.keys()) {
        this.open.delete(oldest)
        break
      }
    return [found]
  }

  /** What is to be told at this time, and the end of what is over. */
  due(nowMs: number): readonly Found<Kind>[] {
    const told: Found<Kind>[] = []
    for (const [key, open] of this.open) {
      if (nowMs < open.quietFromMs) continue
      const { again, count, lastAtMs } = open
      if (!again) {
        this.open.delete(key)
        continue
      }
      open.again = undefined
      open.quietFromMs = nowMs + this.cooldownMs
      told.push({ ...open.found, news: 'updated', atMs: lastAtMs, count, beyond: again })
    }
    return told
  }

  /** Ends every cause about the workspace untold: its next sign beyond a limit is a finding of its own. */
  forget(workspace: string): void {
    for (const [key, { found }] of this.open)
      if (found.subject.workspace?.workspace === workspace) this.open.delete(key)
  }

  list(): readonly OpenCause<Kind>[] {
    return [...this.open.values()].map(({ found: { finding, uid, firstAtMs }, cause, count, lastAtMs }) => ({
      ...{ finding, uid, cause, firstAtMs, lastAtMs, count },
    }))
  }
}
