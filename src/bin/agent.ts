// Composes the running agent: one node under its lock for as long as the process lives, the loop, the channel, the mediator of
// names, and the four ways in and out: socket, gRPC, health and metrics over HTTP, log. The only place that knows all of them.

import { join } from 'node:path'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { collectCanaries } from '../agent/canary-left.js'
import { tellRefused } from '../agent/freshness.js'
import { type HttpServer, startHttp } from '../agent/http.js'
import { takeLock } from '../agent/lock.js'
import { openLog } from '../agent/log.js'
import { Loop, type LoopLine } from '../agent/loop.js'
import { PULSE } from '../agent/loop-decide.js'
import { createMetrics, isReady } from '../agent/metrics.js'
import { decisionMetrics } from '../agent/metrics-decisions.js'
import { revocationMetrics } from '../agent/metrics-revocation.js'
import type { Keep } from '../agent/node.js'
import type { Activation } from '../agent/record.js'
import { openForFencing, openTrustRoot } from '../agent/roots.js'
import { type ServeLine, serveAgent } from '../agent/serve.js'
import { heartbeat, type Sinks, startSinks } from '../agent/sinks.js'
import { status } from '../agent/status.js'
import type { Store } from '../agent/store.js'
import { markAt, TRAIL_STATE } from '../agent/trail.js'
import { openTransport } from '../agent/transports/open.js'
import { handedSocket } from '../api/handed-socket.js'
import type { ApiServer, ApiTerms } from '../api/server.js'
import { type SocketServer, serveSocket } from '../api/socket-server.js'
import type { Fact } from '../audit/fact.js'
import { causeChain, Fault } from '../base/fault.js'
import type { AgentRequest, Configured } from '../cli/host.js'
import type { Mediator } from '../dns/mediator.js'
import { observedLines, ofLoop, ofObserve, ofSink, ofStory, type Spoken } from './agent-lines.js'
import { portsOf } from './api.js'
import { callsOf } from './calls.js'
import { compileAside } from './compiler.js'
import { hostDecisions } from './decisions.js'
import { callOf, hostFindings, refusedCall } from './findings.js'
import { hostMediator, MEDIATE_LOCK } from './mediate.js'
import { keepSmall } from './memory.js'
import { newCommandId, openAgentNode, type Surroundings } from './node.js'
import { socketOf } from './remote.js'
import { type HostedRevocation, hostRevocation } from './revocation.js'
import { supervise } from './supervise.js'
import { canaryOf } from './witness.js'

/** Runs until the signal is aborted. Throws what keeps the node from opening or standing. */
export async function runAgent(around: Surroundings, config: Configured, request: AgentRequest): Promise<void> {
  const { signal, log } = request
  const { nowMs } = around
  const opened = await openAgentNode(around, config, { exclusive: true, queued: true, standing: true })
  const { trail } = opened
  const speak = log ? openLog(config.node, log) : request.tell
  const say = (line: Spoken | undefined): void => {
    if (!line) return
    speak({ atMs: nowMs(), ...line })
    supervised.heard(line)
  }
  const monotonicMs = () => performance.now()
  const supervised = supervise(around.environment, monotonicMs, (ageMs) => {
    say({ level: 'error', event: 'stuck', detail: { ageMs: Math.round(ageMs) } })
  })
  signal.addEventListener('abort', supervised.stopping, { once: true })
  const transport = config.source && openTransport(config.source.from, { ...config.source, cwd: around.cwd })
  let answeredAtMs: number | undefined
  const metrics = createMetrics({
    version: around.version,
    status: async () => status(await current(true)),
    journal: trail.status,
    channelAnsweredAtMs: () => answeredAtMs,
    names: () => mediator?.counters(),
    sinks: () => sinks?.status() ?? [],
    nowMs,
  })
  const heed = (facts: readonly Fact[]): readonly Fact[] => {
    metrics.told(facts)
    for (const fact of facts) say(ofObserve(fact))
    return facts
  }
  const tellTrail = (facts: readonly Fact[]): Promise<void> => trail.emit(heed(facts))
  const commandId = () => newCommandId(around)
  const findings = hostFindings({
    ...{ config, store: opened.node.store, trail, loop: () => loop, nowMs, commandId, tell: tellTrail },
    failed: (error) => {
      say({ level: 'error', event: 'finding-failed', detail: { why: causeChain(error).join(': ') } })
    },
  })
  const emit = (facts: readonly Fact[]): Promise<void> => tellTrail(findings.telling(facts))
  const keep: Keep = (facts) => trail.keep(heed(findings.telling(facts)))
  /** The root may have been followed, and its chains are judged by the time. */
  const current = async (fencing = false) => {
    const { root, digest } = await (fencing ? openForFencing : openTrustRoot)(config.trustRoot, nowMs())
    return { ...opened.node, emit, keep, trust: root, trustDigest: digest, compile: compileAside }
  }
  /** For whoever only reads: what is live can be said without trusting anybody. */
  const reading = () => current(true)
  await current().catch(async (error: unknown) => {
    // The fence is kept all the same; nothing new is accepted until the root is back, and that is said.
    if (!(error instanceof Fault)) throw error
    say({ level: 'error', event: 'trust-root', detail: { code: error.code, why: causeChain(error).join(': ') } })
    await tellRefused({ ...opened.node, emit }, error)
  })
  const memory = keepSmall()
  const onlookers = new Set<(facts: readonly Fact[]) => void>()
  let mediator: Mediator | undefined
  let sinks: Sinks | undefined
  let unlockNames: (() => void) | undefined
  let api: ApiServer | undefined
  let socket: SocketServer | undefined
  let http: HttpServer | undefined
  let revocation: HostedRevocation | undefined
  const heard = (line: LoopLine): void => {
    say(ofLoop(line))
    // Ready means that the fence is read back: not while it differs, and again once it was put right.
    if (line.kind === 'drift' || (line.kind === 'failed' && line.during === 'sweep')) api?.setReady(false)
    if (line.kind === 'whole') api?.setReady(true)
    if (line.kind !== 'carried') return
    metrics.ran(line.command, line.elapsedMs, line.failed)
    memory.used()
    const call = callOf(line, nowMs())
    if (call) findings.seen(call)
    if (line.command === 'repair' && !line.failed) api?.setReady(true)
  }
  const told = (line: ServeLine): void => {
    say(ofStory(line))
    if (line.kind === 'stands') for (const one of observedLines(opened.node.store, nowMs())) say(one)
    if (line.kind === 'stands') api?.setReady(line.stood !== 'open')
  }
  const beat = (): Promise<void> => {
    // The record may be unreadable; that the agent is there, and how far its trail is, is worth telling all the same.
    const live = liveOf(opened.node.store)
    return emit([heartbeat(nowMs(), live, trail.status(), sinks?.status() ?? [])])
  }
  const terms = { ...PULSE, beatMs: config.heartbeatMs ?? PULSE.beatMs }
  const loop = new Loop(
    { node: current, monotonicMs, sleep, commandId, beat, turned: supervised.turned, tell: heard },
    terms,
  )
  const decisions = hostDecisions({
    ...{ node: reading, sleep, nowMs, emit, metrics: decisionMetrics(metrics.registry) },
    failed: (error) => {
      say({ level: 'warning', event: 'registrations-failed', detail: { why: causeChain(error).join(': ') } })
    },
  })
  try {
    if (config.sinks) {
      const mark = markAt(join(config.stateDirectory, TRAIL_STATE[0]))
      const tell = (facts: readonly Fact[]): Promise<void> => {
        for (const fact of facts) say(ofSink(fact))
        return emit(facts)
      }
      const hosted = { nowMs, chance: Math.random, sleep, mark, journal: trail.status, emit: tell }
      sinks = startSinks({ ...config, sinks: config.sinks }, hosted)
    }
    const statusOfSinks = () => sinks?.status()
    const calls = callsOf({
      ...{ loop, node: reading, commandId, unwritten: trail.unwritten, onlookers },
      decider: decisions.decider,
      sinks: statusOfSinks,
      streams: () => revocation?.status(),
      findings: () => findings.open(),
    })
    const path = socketOf(config)
    const handed = handedSocket(around.environment, process.pid, path)
    socket = await serveSocket(path, calls, process.getuid?.() ?? 0, handed)
    if (config.dns) {
      unlockNames = takeLock(join(config.stateDirectory, MEDIATE_LOCK))
      const { store } = opened.node
      const failed = (error: unknown): void => {
        say({ level: 'warning', event: 'names-failed', detail: { why: causeChain(error).join(': ') } })
      }
      // The drivers are this process's own: they know every generation that the loop makes live.
      const backends = async () => opened.node.backends
      mediator = hostMediator(config.dns, {
        ...{ node: { store, emit, nowMs }, backends, failed },
        asked: (question) => {
          findings.seen(question)
        },
      })
      await mediator.start()
    }
    if (config.api) {
      const { node: name, eventsFile } = config
      const mark = markAt(join(config.stateDirectory, TRAIL_STATE[0]))
      const journal = { eventsFile, mark, status: trail.status, sleep }
      const canary = canaryOf(around)
      void collectCanaries()
      const { noted: decider } = decisions
      const behind = {
        ...{ loop, node: reading, commandId, name, journal, release: around.version, canary, decider },
        sinks: statusOfSinks,
      }
      const failed = (error: unknown): void => {
        say({ level: 'warning', event: 'api-failed', detail: { why: causeChain(error).join(': ') } })
      }
      // Loaded where it is wanted: a node without gRPC does not carry its weight.
      const { serveApi } = await import('../api/server.js')
      api = await serveApi(portsOf(behind), apiTerms(config.api), {
        ...{ nowMs, monotonicMs, failed },
        refused: (caller, method) => {
          const call = refusedCall(caller, method, nowMs())
          if (call) findings.seen(call)
        },
      })
      say({ level: 'info', event: 'api', detail: { port: api.port } })
    }
    if (config.http !== undefined) {
      const ready = async () => {
        const { state, workspaces } = await status(await current(true))
        const observed = workspaces.filter(({ observedUntilMs }) => observedUntilMs !== undefined).length
        const more =
          observed === 0 ? '' : `\nobserved, not denied by default: ${observed} of ${workspaces.length} workspaces`
        return { ready: isReady(state), state: `${state}${more}` }
      }
      http = await startHttp({ registry: metrics.registry, ready }, hostAndPort(config.http))
      say({ level: 'info', event: 'http', detail: { port: http.port } })
    }
    const served = {
      loop,
      node: reading,
      commandId,
      sleep,
      seen: (facts: readonly Fact[]) => {
        for (const look of onlookers) look(facts)
      },
      answered: () => {
        answeredAtMs = nowMs()
      },
      tell: told,
      ...(config.source && transport ? { source: { config: config.source, transport } } : {}),
    }
    if (config.revocation) {
      const { store } = opened.node
      const place = { around, store, loop, monotonicMs, sleep, emit, say, metrics: revocationMetrics(metrics.registry) }
      revocation = await hostRevocation(config.revocation, place)
    }
    findings.start()
    await serveAgent(served, signal)
  } finally {
    memory.close()
    await revocation?.stop()
    await http?.close()
    await api?.close()
    await socket?.close()
    await mediator?.stop()
    await findings.close()
    unlockNames?.()
    await decisions.stop()
    transport?.close()
    await opened.close()
    await trail.close()
    // After the trail, so that what was told last is delivered too.
    await sinks?.stop()
    const unwritten = trail.unwritten()
    if (unwritten !== undefined) say({ level: 'warning', event: 'audit-lost', detail: { why: unwritten } })
    say({ level: 'info', event: 'stopped', detail: {} })
    supervised.close()
  }
}

/** null when nothing is live, or the record cannot be read. */
function liveOf(store: Store): Activation | null {
  try {
    return store.load().live
  } catch (error) {
    // Whoever changes something hears of it; a heartbeat does not.
    if (error instanceof Fault) return null
    throw error
  }
}

const apiTerms = (config: NonNullable<Configured['api']>): ApiTerms => ({
  listen: config.listen,
  files: { certificate: config.certificate, key: config.key, clientCa: config.clientCa },
  callers: {
    operator: config.operators,
    companion: config.companions,
    runtime: config.runtimes,
    auditor: config.auditors,
    broker: config.brokers,
  },
})

/** Of what agent.yaml has admitted: `127.0.0.1:9465`, `[::1]:9465`. */
function hostAndPort(listen: string): { readonly host: string; readonly port: number } {
  const at = listen.lastIndexOf(':')
  return { host: listen.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(listen.slice(at + 1)) }
}

async function sleep(ms: number, wake: AbortSignal): Promise<void> {
  try {
    await sleepFor(ms, undefined, { signal: wake })
  } catch (error) {
    // Being woken is the other way in which a pause ends.
    if (!wake.aborted) throw error
  }
}
