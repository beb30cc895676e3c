// The story of one security event, whichever way it came: check it, fence, keep it behind that, do what else it asks for, remember it,
// and only then answer that it was taken. What is kept is done again after a crash; a crash before that leaves it unacknowledged, and it
// comes again; what was done is not done twice. A host (the agent, or a companion) lends it a memory, a fence and a place for revocations.
//
// Nothing waits for the trail. What cannot be done now is not acknowledged, and tried again until it is.

import { canonicalize } from '../base/canonical.js'
import { digestOfText } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import type { JwsKey } from '../bundle/jwk.js'
import type { WorkspaceId } from '../plan/model.js'
import { readSubject } from '../plan/subject.js'
import { revocationFault } from './errors.js'
import { meaningOf, type StreamWord } from './events.js'
import { isOfStream, judge } from './match.js'
import type { Deeds, Mapped, Outcome, Refusal, SecurityEvent, StreamTerms } from './model.js'
import { isRefusal, readSet } from './set.js'

/** Durable, and of this machine. What throws leaves the event unacknowledged. */
export interface EventMemory {
  /** Was it done? */
  has(key: string): boolean
  /** On return the event is on stable storage, to be done. */
  pend(key: string, event: SecurityEvent): void
  /** Is it on stable storage, to be done? */
  keeps(key: string): boolean
  /** Kept and not known to be done, oldest first. */
  pending(): readonly { readonly key: string; readonly event: SecurityEvent }[]
  /** On return it counts as done for as long as it could be replayed. */
  settle(key: string, event: SecurityEvent): void
  heard(stream: string, iatMs: number): void
  status(stream: string, word: StreamWord, iatMs: number): void
}

export interface ReceiverHost {
  readonly memory: EventMemory
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** The transmitter's keys as they are now. Throws when they cannot be read. */
  readonly keys: (stream: StreamTerms) => readonly JwsKey[]
  /** Whose each workspace is; undefined while nobody can say. */
  readonly mapped: () => readonly Mapped[] | undefined
  /** Resolves when the durable fence was read back; `key` identifies the command. */
  readonly fence: (workspace: WorkspaceId, event: SecurityEvent, key: string) => Promise<void>
  /** Resolves after that long, or earlier when the host ends; never rejects. */
  readonly sleep: (ms: number) => Promise<void>
  /** Whom this command fenced, and nobody has let out: for an event that an earlier run began. Never throws. */
  readonly fencedBy: (key: string) => readonly WorkspaceId[]
  /** On return it is on stable storage. Absent: nothing of the kind can be taken back here, and whoever asks for it is told. */
  readonly revoke?: (deeds: Pick<Deeds, 'agents' | 'delegations'>) => void
  /** On return it is on stable storage that these ids open no session. Absent: nobody opens one here. */
  readonly revokeSessionIds?: (ids: readonly string[]) => void
  /** Open sessions that somebody else has on record, for an event that may name one; asked for when its ids open no other. */
  readonly sessions?: () => Promise<readonly Mapped[]>
  /** Why there may be workspaces that `mapped` cannot name: what may mean them is acknowledged, and kept until it can. */
  readonly unnamed?: () => Fault | undefined
  /** Was this word sent to the transmitter for it to say again? */
  readonly expects: (stream: string, state: string) => boolean
  readonly tell: (told: Told) => void
}

export type Told =
  | {
      readonly kind: 'taken'
      readonly event: SecurityEvent
      readonly outcome: Outcome
      readonly deeds: Deeds
      /** From the reception to the last fence read back and the last revocation stored. */
      readonly elapsedMs: number
    }
  | {
      readonly kind: 'refused'
      readonly stream: string
      readonly from: string
      readonly refusal: Refusal
      readonly atMs: number
    }
  /** Nothing was acknowledged. */
  | { readonly kind: 'failed'; readonly stream: string; readonly error: unknown }

export type Reply =
  | { readonly kind: 'taken'; readonly jti: string; readonly again: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** Send it again later. */
  | { readonly kind: 'unavailable' }

/** RFC 8935 section 2.4: a transmitter that hears 202 tells nobody else. */
const ELSEWHERE: Refusal = {
  err: 'access_denied',
  description: 'this receiver takes back no delegation and no agent: send it to the agents',
}
/** Fences that are asked for at once: a whole tenant must not fill the queue of other quarantines. */
const ABREAST = 16
/** An event is kept behind its fences; one that hangs leaves it unkept, and its ids in use, no longer than this. */
const UNKEPT_MS = 5_000
/** An event that could not be done is tried again after a second, then after twice as long each time, and never later than this. */
const LONGEST_WAIT_MS = 10_000
/** Events whose progress is remembered; the oldest go first, and are begun from the start. */
const PROGRESS_KEPT = 4_096

/** How far an event has come that could not be done at once. */
interface Progress {
  /** They are not fenced by it again, whatever becomes of the others: an operator may have let them out meanwhile. */
  readonly fenced: Set<WorkspaceId>
  failures: number
  failedAtMs: number
  /** It waits for an inventory, or for a record, and the host was told. */
  isWaiting: boolean
  /** Why nobody could say whom else it means. It is kept and was acknowledged, and is done again when that changes. */
  waitsFor?: string
}

/**
 * Names the event in the memory, in commands and in receipts. What it says is part of it: a transmitter that gives one `jti` to two
 * events by mistake has sent two.
 */
export const keyOf = ({ issuer, jti, type, subId, payload }: SecurityEvent): string =>
  digestOfText(canonicalize([issuer, jti, type, subId, payload])).slice(7, 39)

export class Receiver {
  /** One event may come twice at once; the second waits for the first. */
  private readonly running = new Map<string, Promise<Reply>>()
  private readonly progress = new Map<string, Progress>()

  constructor(private readonly host: ReceiverHost) {}

  // untrusted: `token`
  /** Never throws: an answer for the transmitter, and the host is told. */
  async receive(stream: StreamTerms, token: string, from: string): Promise<Reply> {
    const { host } = this
    try {
      const arrival = { nowMs: host.nowMs(), from }
      const set = await readSet(token, stream, host.keys(stream), arrival)
      return isRefusal(set) ? this.refuse(stream, set, from) : await this.take(stream, set)
    } catch (error) {
      return this.fail(stream.name, error)
    }
  }

  /** Does what an earlier run, or an earlier try, left undone. Resolves with how many are left. */
  async resume(streams: readonly StreamTerms[]): Promise<number> {
    let left = 0
    const unnamed = this.host.unnamed?.()?.message
    for (const { key, event } of this.host.memory.pending()) {
      const stream = streams.find(({ name }) => name === event.stream)
      const isKeptStill = unnamed !== undefined && this.progress.get(key)?.waitsFor === unnamed
      if (isKeptStill || this.rests(key)) {
        left++
        continue
      }
      // A stream that is no longer configured was trusted when the event came: what it took away stays taken.
      const reply = this.running.has(key) ? undefined : await this.once(key, stream ?? lastTerms(event), event, true)
      if (reply === undefined || reply.kind === 'unavailable') left++
    }
    return left
  }

  private take(stream: StreamTerms, event: SecurityEvent): Promise<Reply> {
    return this.once(keyOf(event), stream, event)
  }

  /** `isKept`: it comes from the memory. */
  private once(key: string, stream: StreamTerms, event: SecurityEvent, isKept = false): Promise<Reply> {
    const before = this.running.get(key)
    if (before) return before
    const reply = this.act(key, stream, event, isKept)
      .catch((error: unknown) => this.fail(stream.name, error))
      .finally(() => {
        this.running.delete(key)
      })
    this.running.set(key, reply)
    return reply
  }

  private async act(key: string, stream: StreamTerms, event: SecurityEvent, isKept: boolean): Promise<Reply> {
    const { host } = this
    const { memory } = host
    const { jti } = event
    const subject = readSubject(event.subId)
    if (typeof subject === 'string') throw new TypeError(`a SET was taken whose subject is wrong: ${subject}`)
    if (isOfStream(event.type)) return this.actOnStream(stream, event)
    // Before it is asked for in the memory: a release that took it for done may have kept it, and none acknowledges it now.
    if (!host.revoke && takesBack(judge(event, subject, [], stream).deeds)) {
      if (isKept) memory.settle(key, event)
      return this.refuse(stream, ELSEWHERE, event.from)
    }
    if (memory.has(key)) return { kind: 'taken', jti, again: true }
    if (!isKept && memory.keeps(key)) {
      if (this.progress.get(key)?.waitsFor !== undefined) return { kind: 'taken', jti, again: true }
      // `resume` does it; a transmitter that never tires of it makes that no sooner.
      if (this.rests(key)) return { kind: 'unavailable' }
    }
    const mapped = host.mapped()
    const judged = judge(event, subject, mapped ?? [], stream)
    const { deeds: first, sessionIds = [] } = judged
    const fencing = this.fence(key, event, first)
    // What keeps an event writes to a disk that may hang, in the thread that the fences need.
    if (first.fence.length > 0) await Promise.race([fencing, host.sleep(UNKEPT_MS)])
    // A disk that is slow or refuses must not keep a workspace open: the fence comes all the same, and the acknowledgement does not.
    // Neither of the two waits for the other to succeed: an inbox that is full opens no session.
    const unrevoked = attempt(() => host.revokeSessionIds?.(sessionIds))
    const unkept = attempt(() => {
      if (!isKept) memory.pend(key, event)
    })
    // A session that was opened meanwhile is on record by now, and no other will be.
    const [asked] = await Promise.allSettled([sessionIds.length > 0 ? host.sessions?.() : undefined])
    const open = asked.status === 'fulfilled' ? (asked.value ?? []) : []
    const isLate = first.fence.length > 0 || open.length > 0
    const late = isLate ? judge(event, subject, [...(host.mapped() ?? []), ...open], stream).deeds.fence : []
    const more = late.filter((name) => !first.fence.includes(name))
    const failures = [...(await this.fence(key, event, { ...first, fence: more })), ...(await fencing)]
    if (asked.status === 'rejected') failures.push(asked.reason)
    // A session that an earlier try closed is none that is open.
    const done = [...this.progressOf(key).fenced].filter((name) => !first.fence.includes(name) && !more.includes(name))
    const deeds = { ...first, fence: [...first.fence, ...more, ...done] }
    const outcome = deeds.fence.length > 0 ? 'fenced' : judged.outcome
    this.requireFenced(key, failures, deeds)
    if (unkept !== undefined) throw unkept
    if (unrevoked !== undefined) throw unrevoked
    // Acknowledged now it would be lost for a workspace that is not here yet.
    if (!mapped && (outcome === 'unmapped' || deeds.agents.length > 0))
      return this.wait(key, stream, revocationFault('REVOCATION_UNMAPPED', undefined))
    const unnamed = outcome === 'unmapped' || outcome === 'fenced' ? host.unnamed?.() : undefined
    if (unnamed) {
      // Kept it is not lost; unacknowledged it would hold up whatever its transmitter has behind it.
      memory.heard(stream.name, event.iatMs)
      const reply = this.wait(key, stream, unnamed)
      this.progressOf(key).waitsFor = unnamed.message
      return isKept ? reply : { kind: 'taken', jti, again: false }
    }
    const elapsedMs = Math.max(0, host.nowMs() - event.receivedAtMs)
    memory.heard(stream.name, event.iatMs)
    memory.settle(key, event)
    this.progress.delete(key)
    host.tell({ kind: 'taken', event, outcome, deeds, elapsedMs })
    return { kind: 'taken', jti, again: false }
  }

  /** Every workspace is tried that this event has not fenced yet, whatever becomes of the others. Gives what failed; never rejects. */
  private async fence(key: string, event: SecurityEvent, { fence }: Deeds): Promise<readonly unknown[]> {
    const progress = this.progressOf(key)
    const failures: unknown[] = []
    const open = fence.filter((workspace) => !progress.fenced.has(workspace))
    for (let at = 0; at < open.length; at += ABREAST) {
      const some = open.slice(at, at + ABREAST).map(async (workspace) => {
        await this.host.fence(workspace, event, key)
        progress.fenced.add(workspace)
      })
      for (const one of await Promise.allSettled(some)) if (one.status === 'rejected') failures.push(one.reason)
    }
    return failures
  }

  /** Takes back what else is to be taken back, and throws the first of the failures. */
  private requireFenced(key: string, failures: readonly unknown[], deeds: Deeds): void {
    if (takesBack(deeds)) this.host.revoke?.(deeds)
    if (failures.length === 0) return
    this.restAfter(key)
    throw failures[0]
  }

  private restAfter(key: string): void {
    const progress = this.progressOf(key)
    progress.failures++
    progress.failedAtMs = this.host.nowMs()
  }

  private progressOf(key: string): Progress {
    const known = this.progress.get(key)
    if (known) return known
    const made = { fenced: new Set(this.host.fencedBy(key)), failures: 0, failedAtMs: 0, isWaiting: false }
    if (this.progress.size >= PROGRESS_KEPT)
      for (const oldest of [...this.progress.keys()].slice(0, 64)) this.progress.delete(oldest)
    this.progress.set(key, made)
    return made
  }

  /** It failed a moment ago. A clock that was set back ends the pause. */
  private rests(key: string): boolean {
    const { failures = 0, failedAtMs = 0 } = this.progress.get(key) ?? {}
    if (failures === 0) return false
    const passedMs = this.host.nowMs() - failedAtMs
    return passedMs >= 0 && passedMs < Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** Math.min(failures - 1, 16))
  }

  private wait(key: string, stream: StreamTerms, why: Fault): Reply {
    const progress = this.progressOf(key)
    // It is looked at every second, and is one trouble all the same.
    if (progress.isWaiting) return { kind: 'unavailable' }
    progress.isWaiting = true
    return this.fail(stream.name, why)
  }

  /** SSF 1.0 section 8.1.4: a state comes back only if it was sent; one without it may come at any time. */
  private unexpected(stream: StreamTerms, { name, payload }: SecurityEvent): Refusal | undefined {
    if (name !== 'verification') return undefined
    const { state } = payload
    return typeof state !== 'string' || this.host.expects(stream.name, state)
      ? undefined
      : { err: 'invalid_state', description: 'nobody asked for this state' }
  }

  /** Nothing of it could be lost or done twice: a replay says again what was true at its issue time. */
  private actOnStream(stream: StreamTerms, event: SecurityEvent): Reply {
    const { memory, nowMs, tell } = this.host
    const { name, payload, iatMs, jti, receivedAtMs } = event
    const refusal = this.unexpected(stream, event)
    if (refusal) return this.refuse(stream, refusal, event.from)
    const meaning = name === undefined ? undefined : meaningOf(name, payload, stream.reaction)
    if (meaning?.kind === 'stream') memory.status(stream.name, meaning.status, iatMs)
    memory.heard(stream.name, iatMs)
    const elapsedMs = Math.max(0, nowMs() - receivedAtMs)
    tell({ kind: 'taken', event, outcome: 'stream', deeds: { fence: [], agents: [], delegations: [] }, elapsedMs })
    return { kind: 'taken', jti, again: false }
  }

  private refuse(stream: StreamTerms, refusal: Refusal, from: string): Reply {
    this.host.tell({ kind: 'refused', stream: stream.name, from, refusal, atMs: this.host.nowMs() })
    return { kind: 'refused', refusal }
  }

  private fail(stream: string, error: unknown): Reply {
    this.host.tell({ kind: 'failed', stream, error })
    return { kind: 'unavailable' }
  }
}

const takesBack = ({ agents, delegations }: Deeds): boolean => agents.length > 0 || delegations.length > 0

function attempt(act: () => void): Fault | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
}

/** The terms of a stream that is gone, for an event that it sent: the narrow ones. */
const lastTerms = ({ stream, issuer }: SecurityEvent): StreamTerms => ({
  name: stream,
  issuer,
  audience: [],
  algorithms: [],
  events: [],
  criticalMembers: [],
  reaction: { riskLevel: 'LOW', credentialChange: 'quarantine' },
})
