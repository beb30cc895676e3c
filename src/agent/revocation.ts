// The receiver of security events in a running agent: it lends src/revocation its memory, the quarantine of the loop and the place of
// revocations, and keeps its streams going side by side. None of them ends another, and none waits for the trail. Once a second it
// looks who is silent, and does again what could not be done.

import type { Fact } from '../audit/fact.js'
import { canonicalize } from '../base/canonical.js'
import type { Digest } from '../base/digest.js'
import { causeChain, Fault } from '../base/fault.js'
import { isClosed } from '../plan/closed.js'
import type { WorkspaceId } from '../plan/model.js'
import type { EventName } from '../revocation/events.js'
import { KeyFiles } from '../revocation/keys.js'
import type { Mapped, StreamTerms } from '../revocation/model.js'
import { pollStream } from '../revocation/poll.js'
import { type PushServer, startPush } from '../revocation/push.js'
import { Receiver, type ReceiverHost, type Told } from '../revocation/receiver.js'
import { standingOf } from '../revocation/silence.js'
import { Verification } from '../revocation/verification.js'
import type { RevocationConfig, StreamConfig } from './config-revocation.js'
import { policyContext } from './context.js'
import { loadMapped } from './held-inventory.js'
import type { Activation } from './record.js'
import { RevocationMemory } from './revocation-memory.js'
import type { StreamSeen } from './revocation-standing.js'
import { outward, reasonOf, termsOf } from './revocation-terms.js'
import { Revoked } from './revoked.js'
import { revokeSessionIds } from './revoked-sessions.js'
import { mappedSessions, toldOf } from './session-subjects.js'
import type { Store } from './store.js'

export interface RevocationHost extends Pick<ReceiverHost, 'sessions' | 'unnamed'> {
  readonly store: Pick<Store, 'directory' | 'load' | 'quarantines'> & Partial<Pick<Store, 'sessions'>>
  /** Whose each workspace is, for a host without an inventory; otherwise what the inventory of the live plan says. */
  readonly mapped?: () => readonly Mapped[]
  /** False: `silence: deny` takes no traffic from what runs, and refuses what would begin. */
  readonly suspends?: false
  readonly nowMs: () => number
  readonly monotonicMs: () => number
  readonly chance: () => number
  readonly random: () => string
  /** Resolves after that long, or at once when woken; never rejects. */
  readonly sleep: (ms: number, wake: AbortSignal) => Promise<void>
  /** Resolves when the fence was read back and is on record; for the name of a session (session-subjects.ts) when it is closed. */
  readonly quarantine: (
    workspace: WorkspaceId,
    by: string,
    reason: string,
    commandId: string,
    event?: EventName,
  ) => Promise<void>
  /** False: delegations and agents are taken back elsewhere, and an event that asks for it is refused. */
  readonly revokes?: false
  readonly emit: (facts: readonly Fact[]) => void
  readonly say: (line: RevocationLine) => void
}

/** For the log. */
export type RevocationLine =
  | { readonly kind: 'listening'; readonly port: number }
  | {
      readonly kind: 'taken'
      readonly stream: string
      readonly outcome: string
      readonly elapsedMs: number
      readonly workspaces: number
    }
  | { readonly kind: 'failed'; readonly stream: string; readonly why: string }

export interface StreamStatus extends StreamSeen {
  readonly taken: number
  readonly refused: number
  /** Why it could not be asked, or what it asked for could not be done, last. */
  readonly error?: string
}

const TICK_MS = 1_000
const REFRESH_TICKS = 10
/** Like refusals within it are told once, with their number. */
const FOLD_MS = 10_000

interface Counts {
  taken: number
  refused: number
  error?: string
  standing?: StreamSeen['standing']
}

export class RevocationService {
  private readonly memory: RevocationMemory
  private readonly revoked: Revoked
  private readonly receiver: Receiver
  private readonly keys = new KeyFiles()
  private readonly verification: Verification
  private readonly counts = new Map<string, Counts>()
  private readonly folded = new Map<
    string,
    { count: number; sinceMs: number; told: Extract<Told, { kind: 'refused' }> }
  >()
  private readonly ending = new AbortController()
  private readonly streams: readonly { readonly config: StreamConfig; readonly terms: StreamTerms }[]
  private running: Promise<unknown> = Promise.resolve()
  private push: PushServer | undefined
  /** What the receiver as a whole could not do, and why, as it was said last. */
  private readonly trouble = new Map<string, string>()
  private map: { readonly plan: Digest; readonly mapped: readonly Mapped[] } | undefined

  /** Throws AGENT_STORE_*. */
  constructor(
    private readonly config: RevocationConfig,
    private readonly host: RevocationHost,
  ) {
    const { directory } = host.store
    this.memory = new RevocationMemory(directory, host.nowMs)
    this.revoked = new Revoked(directory)
    this.streams = config.streams.map((stream) => ({ config: stream, terms: termsOf(stream) }))
    const files = new Map(config.streams.map(({ name, keys }) => [name, keys]))
    this.verification = new Verification({
      word: host.random,
      sleep: host.sleep,
      failed: (stream, error) => {
        this.failed(stream, error)
      },
    })
    this.receiver = new Receiver({
      memory: this.memory,
      nowMs: host.nowMs,
      keys: ({ name }) => this.keys.of(files.get(name) ?? ''),
      mapped: host.mapped ?? (() => this.withSessions(this.mapped())),
      fence: (workspace, event, key) =>
        host.quarantine(workspace, `stream:${event.stream}`, reasonOf(event), `set-${key}`, event.name),
      sleep: (ms) => host.sleep(ms, AbortSignal.any([this.ending.signal])),
      fencedBy: (key) => fencedBy(host.store, `set-${key}`),
      ...(host.revokes === false ? {} : { revoke: (deeds) => void this.revoked.add(deeds) }),
      ...(host.unnamed ? { unnamed: host.unnamed } : {}),
      ...(host.sessions ? { sessions: host.sessions } : {}),
      ...(host.store.sessions || host.sessions
        ? { revokeSessionIds: (ids) => revokeSessionIds(directory, ids, host.nowMs()) }
        : {}),
      expects: (stream, state) => this.verification.expects(stream, state),
      tell: (told) => {
        this.told(told)
      },
    })
  }

  /** Does first what an earlier run left undone. What fails of it is told, and tried again by `watch`. Throws AGENT_STORE_WRITE. */
  async start(): Promise<void> {
    for (const { config } of this.streams) this.memory.record(config.name)
    await this.attempt('resume', () => this.resume())
    await this.attempt('listen', () => this.listen())
    const { signal } = this.ending
    this.running = Promise.all([
      this.watch(),
      ...this.streams.map(({ config, terms }) => this.poll(config, terms)),
      ...this.streams.map(({ config }) => this.verify(config, signal)),
    ])
  }

  status(): readonly StreamStatus[] {
    const nowMs = this.host.nowMs()
    return this.streams.map(({ config: { name, kind, silenceMs } }) => {
      const { taken, refused, error } = this.countsOf(name)
      const record = this.memory.record(name)
      const standing = standingOf(record, silenceMs, nowMs)
      const seen = { name, kind, standing, heardAtMs: record.heardAtMs, taken, refused }
      return error === undefined ? seen : { ...seen, error }
    })
  }

  /** On return nothing runs any more. */
  async stop(): Promise<void> {
    this.ending.abort()
    // It may be about to listen.
    await this.running
    await this.push?.close()
    this.unfold(Number.POSITIVE_INFINITY)
  }

  private async listen(): Promise<void> {
    const { listen, certificate, key, clientCa } = this.config
    if (this.push || listen === undefined || certificate === undefined || key === undefined) return
    const at = listen.lastIndexOf(':')
    const streams = this.streams.flatMap(({ config, terms }) => {
      if (config.kind !== 'push') return []
      const { tokenFile, client } = config
      return [{ terms, ...(tokenFile === undefined ? {} : { tokenFile }), ...(client === undefined ? {} : { client }) }]
    })
    const terms = {
      host: listen.slice(0, at).replace(/^\[(.*)\]$/, '$1'),
      port: Number(listen.slice(at + 1)),
      certificateFile: certificate,
      keyFile: key,
      ...(clientCa === undefined ? {} : { clientCaFile: clientCa }),
      streams,
    }
    this.push = await startPush(terms, {
      receiver: this.receiver,
      monotonicMs: this.host.monotonicMs,
      refused: (stream, from, refusal) => {
        this.told({ kind: 'refused', stream, from, refusal, atMs: this.host.nowMs() })
      },
    })
    this.host.say({ kind: 'listening', port: this.push.port })
  }

  private async poll(config: StreamConfig, terms: StreamTerms): Promise<void> {
    if (config.kind !== 'poll') return
    const { url, longPoll, intervalMs } = config
    const { chance, sleep, monotonicMs } = this.host
    const asked = (stream: string, failure?: unknown): void => {
      if (failure === undefined) delete this.countsOf(stream).error
      else this.failed(stream, failure)
    }
    const host = { receiver: this.receiver, chance, sleep, monotonicMs, asked }
    await pollStream(
      { terms, to: { url, ...outward(config, config.tokenFile) }, longPoll, intervalMs },
      host,
      this.ending.signal,
    )
  }

  private async verify(config: StreamConfig, signal: AbortSignal): Promise<void> {
    const { name, verification } = config
    if (!verification) return
    const { url, streamId, intervalMs } = verification
    const token = config.kind === 'push' ? config.verificationTokenFile : config.tokenFile
    await this.verification.keepAsking({ name, streamId, intervalMs, to: { url, ...outward(config, token) } }, signal)
  }

  private async watch(): Promise<void> {
    const { signal } = this.ending
    for (let tick = 1; !signal.aborted; tick++) {
      await this.host.sleep(TICK_MS, signal)
      if (signal.aborted) return
      // None of these waits for another to succeed.
      await this.attempt('look', () => {
        this.lookForSilence()
        this.unfold(this.host.monotonicMs())
      })
      await this.attempt('resume', () => this.resume())
      await this.attempt('listen', () => this.listen())
      if (tick % REFRESH_TICKS === 0) await this.attempt('refresh', () => this.push?.refresh())
    }
  }

  /** A disk that refuses, an address that is taken, a certificate that is being written: told once, and tried again. */
  private async attempt(what: string, act: () => Promise<void> | void): Promise<void> {
    try {
      await act()
      this.trouble.delete(what)
    } catch (error) {
      const why = causeChain(error).join(': ')
      if (why !== this.trouble.get(what)) this.host.say({ kind: 'failed', stream: '', why })
      this.trouble.set(what, why)
    }
  }

  private async resume(): Promise<void> {
    await this.receiver.resume(this.streams.map(({ terms }) => terms))
  }

  private lookForSilence(): void {
    const atMs = this.host.nowMs()
    for (const { name, standing, heardAtMs } of this.status()) {
      const counts = this.countsOf(name)
      const before = counts.standing ?? 'heard'
      counts.standing = standing
      if (standing === before) continue
      const kind = standing === 'heard' ? ('stream-heard' as const) : ('stream-silent' as const)
      this.host.emit([{ kind, atMs, stream: name, standing, heardAtMs, ...this.denial() }])
    }
  }

  /** What the silence of a stream takes from whom: no event says more than is done. */
  private denial() {
    const denies = this.config.silence === 'deny'
    return this.host.suspends === false
      ? { denies: false, ...(denies ? { refuses: 'starts' as const } : {}) }
      : { denies }
  }

  /** A session is a subject while it is open. Where nobody can say which are, workspaces are fenced all the same. */
  private withSessions(mapped: readonly Mapped[] | undefined): readonly Mapped[] | undefined {
    try {
      const sessions = mappedSessions(this.host.store.sessions?.() ?? [])
      return mapped && sessions.length > 0 ? [...mapped, ...sessions] : mapped
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.failed('', error)
      return mapped
    }
  }

  /** Read once for each plan. */
  private mapped(): readonly Mapped[] | undefined {
    const { live } = this.host.store.load()
    // A closed node has nobody's workspaces: what is asked now is asked again when there is a bundle.
    if (!live || isClosed(live.source)) return undefined
    if (this.map?.plan === live.planDigest) return this.map.mapped
    const mapped = loadMapped(this.host.store.directory, live.planDigest)
    this.map = mapped && { plan: live.planDigest, mapped }
    return mapped
  }

  private told(told: Told): void {
    if (told.kind === 'failed') this.failed(told.stream, told.error)
    else if (told.kind === 'refused') this.refused(told)
    else this.taken(told)
  }

  private taken(told: Extract<Told, { kind: 'taken' }>): void {
    const { event, deeds, elapsedMs } = told
    this.countsOf(event.stream).taken++
    this.host.emit([this.factOf(told)])
    // The life sign of a stream is not news.
    if (event.name === 'verification') return
    const { outcome, workspaces } = toldOf(told.outcome, deeds.fence)
    this.host.say({ kind: 'taken', stream: event.stream, outcome, elapsedMs, workspaces: workspaces.length })
  }

  private factOf({ event, outcome, deeds, elapsedMs }: Extract<Told, { kind: 'taken' }>): Fact {
    const live = liveOf(this.host.store)
    return {
      kind: 'signal-taken',
      atMs: this.host.nowMs(),
      ...(live ? { policy: policyContext(live) } : {}),
      ...{ stream: event.stream, issuer: event.issuer, jti: event.jti, type: event.type, from: event.from },
      ...toldOf(outcome, deeds.fence),
      subject: canonicalize(event.subId),
      agents: deeds.agents,
      delegations: deeds.delegations.map(({ issuer, delegationId }) => `${issuer} ${delegationId}`),
      issuedAtMs: event.iatMs,
      elapsedMs,
      late: elapsedMs > this.config.latencyMs,
    }
  }

  private refused(told: Extract<Told, { kind: 'refused' }>): void {
    this.countsOf(told.stream).refused++
    const key = `${told.stream} ${told.refusal.err}`
    const before = this.folded.get(key)
    if (before) {
      before.count++
      return
    }
    this.folded.set(key, { count: 0, sinceMs: this.host.monotonicMs(), told })
    this.emitRefused(told, 1)
  }

  private unfold(nowMs: number): void {
    for (const [key, { count, sinceMs, told }] of this.folded) {
      if (nowMs - sinceMs < FOLD_MS) continue
      this.folded.delete(key)
      if (count > 0) this.emitRefused(told, count)
    }
  }

  private emitRefused({ stream, from, refusal }: Extract<Told, { kind: 'refused' }>, count: number): void {
    const { err: code, description: why } = refusal
    this.host.emit([{ kind: 'signal-refused', atMs: this.host.nowMs(), stream, from, code, why, count }])
  }

  private failed(stream: string, error: unknown): void {
    const why = causeChain(error).join(': ')
    const counts = this.countsOf(stream)
    // The same trouble every second is one line.
    if (counts.error !== why) this.host.say({ kind: 'failed', stream, why })
    counts.error = why
  }

  private countsOf(stream: string): Counts {
    const known = this.counts.get(stream)
    if (known) return known
    const made: Counts = { taken: 0, refused: 0 }
    this.counts.set(stream, made)
    return made
  }
}

/** Whom that command has fenced, as the record says. */
function fencedBy(store: RevocationHost['store'], command: string): readonly WorkspaceId[] {
  try {
    return store.quarantines().flatMap(({ workspace, commandId }) => (commandId === command ? [workspace] : []))
  } catch {
    // Fencing somebody twice is the lesser evil.
    return []
  }
}

function liveOf(store: RevocationHost['store']): Activation | null {
  try {
    return store.load().live
  } catch {
    // The event is told without its policy; whoever changes something hears of the store.
    return null
  }
}
