// Composes the running agent: one node under its lock for as long as the process lives, the loop, the channel. The only
// place that knows all of them.

import { setTimeout as sleepFor } from 'node:timers/promises'
import { Loop } from '../agent/loop.js'
import { openTrustRoot } from '../agent/roots.js'
import { serveAgent } from '../agent/serve.js'
import { openTransport } from '../agent/transports/open.js'
import { type ApiServer, type ApiTerms, serveApi } from '../api/server.js'
import { type SocketServer, serveSocket } from '../api/socket-server.js'
import type { Fact } from '../audit/fact.js'
import { causeChain } from '../base/fault.js'
import type { AgentLine, AgentRequest, Configured } from '../cli/host.js'
import { portsOf } from './api.js'
import { callsOf } from './calls.js'
import { newCommandId, openAgentNode, type Surroundings } from './node.js'
import { socketOf } from './remote.js'

/** Runs until the signal is aborted. Throws what keeps the node from opening or standing. */
export async function runAgent(around: Surroundings, config: Configured, request: AgentRequest): Promise<void> {
  const { signal, tell } = request
  const { node, trail, close } = await openAgentNode(around, config, { exclusive: true })
  const transport = config.source && openTransport(config.source.from, { ...config.source, cwd: around.cwd })
  /** The root may have been followed, and its chains are judged by the time. */
  const current = async () => {
    const { root, digest } = await openTrustRoot(config.trustRoot, around.nowMs())
    return { ...node, trust: root, trustDigest: digest }
  }
  const say = (level: AgentLine['level'], event: string, detail: AgentLine['detail'] = {}): void => {
    tell({ atMs: around.nowMs(), level, event, detail })
  }
  const commandId = () => newCommandId(around)
  let api: ApiServer | undefined
  const loop = new Loop({
    node: current,
    monotonicMs: () => performance.now(),
    sleep,
    commandId,
    tell: (line) => {
      // Ready means that the fence is read back: not while it differs, and again once it was put right.
      if (line.kind === 'drift') api?.setReady(false)
      if (line.kind === 'carried' && line.command === 'repair') api?.setReady(true)
      if (line.kind === 'failed')
        say('error', 'failed', { during: line.during, why: causeChain(line.error).join(': ') })
      else if (line.kind === 'drift') say('warning', 'drift', { findings: line.drift })
      else if (line.command !== 'tend')
        say('info', line.command, { by: line.by, elapsedMs: Math.round(line.elapsedMs) })
    },
  })
  const onlookers = new Set<(facts: readonly Fact[]) => void>()
  let socket: SocketServer | undefined
  try {
    const served = {
      loop,
      node: current,
      commandId,
      sleep,
      seen: (facts: readonly Fact[]) => {
        for (const look of onlookers) look(facts)
      },
      tell: (line: Parameters<Parameters<typeof serveAgent>[0]['tell']>[0]) => {
        switch (line.kind) {
          case 'stands':
            api?.setReady(line.stood !== 'open')
            return say('info', 'stands', { state: line.stood, generation: line.generation })
          case 'active':
            return say('info', 'active', { generation: line.generation, revision: line.revision })
          case 'root':
            return say('info', 'root', { version: line.version })
          case 'source-failed':
            return say('warning', 'source-failed', {
              code: line.fault.code,
              why: causeChain(line.fault).join(': '),
              waitMs: line.waitMs,
            })
          case 'part-failed':
            return say('error', 'part-failed', { part: line.part, why: causeChain(line.error).join(': ') })
        }
      },
      ...(config.source && transport ? { source: { config: config.source, transport } } : {}),
    }
    const calls = callsOf({ loop, node: current, commandId, unwritten: trail.unwritten, onlookers })
    socket = await serveSocket(socketOf(config), calls, process.getuid?.() ?? 0)
    if (config.api) {
      api = await serveApi(portsOf({ loop, node: current, commandId, name: config.node }), apiTerms(config.api), {
        nowMs: around.nowMs,
        monotonicMs: () => performance.now(),
        failed: (error) => {
          say('warning', 'api-failed', { why: causeChain(error).join(': ') })
        },
      })
      say('info', 'api', { port: api.port })
    }
    await serveAgent(served, signal)
  } finally {
    await api?.close()
    await socket?.close()
    transport?.close()
    await close()
    const unwritten = trail.unwritten()
    if (unwritten !== undefined) say('warning', 'audit-lost', { why: unwritten })
    say('info', 'stopped')
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
  },
})

async function sleep(ms: number, wake: AbortSignal): Promise<void> {
  try {
    await sleepFor(ms, undefined, { signal: wake })
  } catch (error) {
    // Being woken is the other way in which a pause ends.
    if (!wake.aborted) throw error
  }
}
