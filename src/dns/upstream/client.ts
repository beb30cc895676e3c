// The upstreams of a node as one: cache, then whoever asks the same already, then one upstream after the other by preference and
// health, each within its time and all within theirs. UDP goes on over TCP to the same server when the answer is cut short or
// its letters come back in another case; DoT goes on nowhere. What an upstream says is handed on as it is: SERVFAIL and REFUSED
// count as an answer only when no other upstream has a better one.
//
// `validated` needs AD and an authenticated way: DoT, or a resolver on this machine's own loopback.

import { randomBytes } from 'node:crypto'
import type { Fault } from '../../base/fault.js'
import { dnsFault } from '../errors.js'
import type { Answer, Question, Upstream } from '../model.js'
import { orAborted } from './abort.js'
import { AnswerCache, CACHE_LIMITS, type CacheLimits } from './cache.js'
import type { Destination } from './connect.js'
import { newCounters, type UpstreamCounters } from './counters.js'
import { askDatagram } from './datagram.js'
import { failed, HEALTHY, type Health, orderOf, tried } from './health.js'
import { isAuthenticated, printUpstream } from './parse.js'
import { isPlainName, scrambleCase } from './query.js'
import { StreamUpstream } from './stream.js'

export interface UpstreamLimits {
  /** Of one try over UDP; a try over TCP or DoT, which may have to connect first, has twice as much. */
  readonly tryMs: number
  /** Of one question, whatever happens; less than what a client waits (5 s in common resolvers). */
  readonly totalMs: number
  /** How often the whole list is gone through. */
  readonly rounds: number
  /** Most of the pause between rounds; at least half of it. */
  readonly pauseMs: number
  /** Different questions on their way at a time. */
  readonly outstanding: number
  readonly cache: CacheLimits
}
export const UPSTREAM_LIMITS: UpstreamLimits = {
  tryMs: 800,
  totalMs: 4_000,
  rounds: 2,
  pauseMs: 100,
  outstanding: 512,
  cache: CACHE_LIMITS,
}

export interface UpstreamPorts {
  /** Fresh unpredictable octets. */
  readonly random: (length: number) => Uint8Array
  /** A clock that never goes back. */
  readonly tickMs: () => number
}

export interface UpstreamStatus {
  readonly upstream: string
  readonly failures: number
  /** Milliseconds until it is preferred again; 0: it is now. */
  readonly asideMs: number
}

export interface UpstreamClient extends Upstream {
  counters(): UpstreamCounters
  status(): readonly UpstreamStatus[]
}

/** Opens nothing yet: connections are made when there is something to ask. `destinations` by preference, at least one. */
export const openUpstreams = (
  destinations: readonly Destination[],
  limits: UpstreamLimits = UPSTREAM_LIMITS,
  ports: UpstreamPorts = { random: randomBytes, tickMs: () => performance.now() },
): UpstreamClient => new Client(destinations, limits, ports)

interface Server {
  readonly to: Destination
  readonly from: string
  readonly authenticated: boolean
  /** TCP beside UDP, or the one way there is. */
  readonly stream: StreamUpstream
  health: Health
}

/** A question on its way, and how many wait for it. */
interface Running {
  readonly question: Question
  readonly answer: Promise<Answer>
  readonly stop: AbortController
  waiting: number
}

class Client implements UpstreamClient {
  private readonly count = newCounters()
  private readonly servers: readonly Server[]
  private readonly cache: AnswerCache
  private readonly running = new Map<string, Running>()
  private closed = false

  constructor(
    destinations: readonly Destination[],
    private readonly limits: UpstreamLimits,
    private readonly ports: UpstreamPorts,
  ) {
    if (destinations.length === 0) throw new TypeError('openUpstreams: no upstream')
    this.cache = new AnswerCache(limits.cache)
    this.servers = destinations.map((to) => ({
      to,
      from: printUpstream(to),
      authenticated: isAuthenticated(to),
      stream: new StreamUpstream(to, this.count, 2 * limits.tryMs, () => this.random16()),
      health: HEALTHY,
    }))
  }

  async ask(question: Question, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    this.count.asked++
    const known = this.cache.get(question, this.ports.tickMs())
    if (known) {
      this.count.cached++
      return known
    }
    const running = this.join(question)
    running.waiting++
    try {
      return await orAborted(running.answer, signal)
    } finally {
      running.waiting--
      // What has its answer is not running any more, and nothing is left of it to be given up.
      if (running.waiting === 0 && this.running.get(keyOf(question)) === running) {
        // Nobody may join what is being given up.
        this.running.delete(keyOf(question))
        running.stop.abort()
      }
    }
  }

  counters(): UpstreamCounters {
    return { ...this.count, strays: { ...this.count.strays } }
  }

  status(): readonly UpstreamStatus[] {
    const nowMs = this.ports.tickMs()
    return this.servers.map(({ from, health }) => ({
      upstream: from,
      failures: health.failures,
      asideMs: Math.max(0, Math.round(health.asideUntilMs - nowMs)),
    }))
  }

  /** Questions on their way fail with DNS_UPSTREAM, and so does every later one. */
  async close(): Promise<void> {
    this.closed = true
    const waiting = [...this.running.values()]
    for (const { question, stop } of waiting) stop.abort(this.unanswered(question, CLOSED))
    for (const { stream } of this.servers) stream.close()
    this.cache.clear()
    await Promise.allSettled(waiting.map(({ answer }) => answer))
  }

  private join(question: Question): Running {
    const key = keyOf(question)
    const known = this.running.get(key)
    if (known) {
      this.count.joined++
      return known
    }
    const refused = this.refusal(question)
    if (refused !== undefined) throw this.unanswered(question, refused)
    const stop = new AbortController()
    const answer = this.resolve(question, stop.signal)
    const running: Running = { question, answer, stop, waiting: 0 }
    const done = (): void => {
      if (this.running.get(key) === running) this.running.delete(key)
    }
    // Whoever asked may have gone; then nobody hears why there was no answer, and nobody needs to.
    answer.then(done, done)
    this.running.set(key, running)
    return running
  }

  private refusal({ name }: Question): string | undefined {
    if (this.closed) return CLOSED
    if (!isPlainName(name)) return 'it is no host name'
    return this.running.size >= this.limits.outstanding ? 'too many questions are on their way' : undefined
  }

  private async resolve(question: Question, signal: AbortSignal): Promise<Answer> {
    const endsMs = this.ports.tickMs() + this.limits.totalMs
    let second: Answer | undefined
    let cause: unknown
    for (let round = 0; round < this.limits.rounds; round++) {
      if (round > 0 && !(await this.pause(endsMs, signal))) break
      for (const i of orderOf(
        this.servers.map(({ health }) => health),
        this.ports.tickMs(),
      )) {
        const server = this.servers[i]
        if (!server || endsMs - this.ports.tickMs() < 1) break
        try {
          const answer = await this.tryServer(server, question, endsMs, signal)
          if (answer.outcome !== 'failed' && answer.outcome !== 'refused') return this.keep(question, answer)
          second ??= answer
        } catch (error) {
          signal.throwIfAborted()
          cause = error
        }
      }
      if (second) return this.keep(question, second)
    }
    const tries = this.servers.length === 1 ? 'it was tried' : `all ${this.servers.length} were tried`
    throw this.unanswered(question, tries, cause)
  }

  private unanswered({ name, type }: Question, why: string, cause?: unknown): Fault {
    this.count.unanswered++
    return dnsFault('DNS_UPSTREAM', { name, type, why }, cause === undefined ? {} : { cause })
  }

  private keep(question: Question, answer: Answer): Answer {
    this.cache.put(question, answer, this.ports.tickMs())
    return answer
  }

  /** One server, with what it takes; its health follows. */
  private async tryServer(server: Server, question: Question, endsMs: number, signal: AbortSignal): Promise<Answer> {
    const nowMs = this.ports.tickMs()
    server.health = tried(server.health, nowMs, Math.min(endsMs - nowMs, this.tryMs(server.to.transport)))
    try {
      const { content, authenticated } = await this.exchange(server, question, endsMs, signal)
      server.health = HEALTHY
      return { ...content, validated: authenticated && server.authenticated, from: server.from }
    } catch (error) {
      if (!signal.aborted) {
        this.count.failedTries++
        server.health = failed(server.health, this.ports.tickMs(), this.random16() / 65_536)
      }
      throw error
    }
  }

  private tryMs(way: Destination['transport']): number {
    return way === 'udp' ? this.limits.tryMs : 2 * this.limits.tryMs
  }

  /** Never beyond `endsMs`, over TCP behind UDP neither. */
  private async exchange(server: Server, { name, type }: Question, endsMs: number, signal: AbortSignal) {
    const wait = (way: Destination['transport']) => ({
      timeoutMs: Math.min(endsMs - this.ports.tickMs(), this.tryMs(way)),
      signal,
    })
    const { transport } = server.to
    if (transport !== 'udp') return await server.stream.ask(name, type, wait(transport))
    const query = { id: this.random16(), name: scrambleCase(name, this.ports.random(32)), type }
    const reply = await askDatagram(server.to, query, wait('udp'), this.count)
    if (reply.kind === 'answer') return reply
    if (reply.kind === 'truncated') this.count.truncated++
    else this.count.otherCase++
    return await server.stream.ask(name, type, wait('tcp'))
  }

  /** False when there is no time for another round. */
  private async pause(endsMs: number, signal: AbortSignal): Promise<boolean> {
    const pauseMs = (this.limits.pauseMs * (1 + this.random16() / 65_536)) / 2
    if (this.ports.tickMs() + pauseMs >= endsMs) return false
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(done, pauseMs)
      function done(): void {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        if (signal.aborted) reject(signal.reason as Error)
        else resolve()
      }
      signal.addEventListener('abort', done)
    })
    return true
  }

  private random16(): number {
    const [high = 0, low = 0] = this.ports.random(2)
    return high * 256 + low
  }
}

const CLOSED = 'the mediator is ending'

const keyOf = ({ name, type }: Question): string => `${type} ${name}`
