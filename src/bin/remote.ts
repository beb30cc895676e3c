// A node as the command line knows it, behind the socket of the agent that holds it. Every method is one call; what the agent
// refuses arrives as the same Fault.

import { join } from 'node:path'
import { agentFault } from '../agent/errors.js'
import { isLockHeld } from '../agent/lock.js'
import { readBundle } from '../agent/transports/read.js'
import { type AgentConnection, connectAgent } from '../api/client.js'
import type { Configured, NodeHandle, NodeOptions, Watched } from '../cli/host.js'
import { APPLY_LOCK, type Surroundings } from './node.js'

export const socketOf = (config: Pick<Configured, 'socket' | 'stateDirectory'>): string =>
  config.socket ?? join(config.stateDirectory, 'agent.sock')

/** undefined: no agent runs. Throws API_SOCKET, and AGENT_BUSY for other backends than those that the agent has open. */
export async function openRemote(
  around: Surroundings,
  config: Configured,
  options: NodeOptions,
): Promise<NodeHandle | undefined> {
  const path = socketOf(config)
  const agent = await connectAgent(path)
  if (!agent) return undefined
  // An agent holds the lock for as long as it lives. A service manager listens without one: a command that waited there would
  // wait for an agent that may never come up.
  if (!isLockHeld(join(config.stateDirectory, APPLY_LOCK))) {
    agent.close()
    return undefined
  }
  if (options.backends) {
    agent.close()
    throw agentFault('AGENT_BUSY', { file: path })
  }
  return handleOf(around, agent, path)
}

function handleOf(around: Surroundings, agent: AgentConnection, path: string): NodeHandle {
  let unwritten: string | undefined
  /** What the agent could not put into its trail is asked for with each answer, so that the command can say it. */
  const call = async <K extends keyof NodeHandle>(name: K, given: unknown): Promise<Answer<K>> => {
    const gives = await agent.call(name, given)
    unwritten = ((await agent.call('unwritten', null)) as string | null) ?? undefined
    return gives as Answer<K>
  }
  return {
    apply: async (request) => {
      const { bundle } = request
      const bytes = typeof bundle === 'string' ? await readBundle(around.resolve(bundle)) : bundle
      return call('apply', { ...request, bundle: bytes })
    },
    stand: () => Promise.resolve('as-it-was'), // a running agent has seen to it
    quarantine: (request) => call('quarantine', request),
    attach: (request) => call('attach', request),
    detach: (request) => call('detach', request),
    breakGlass: (statement) => call('breakGlass', statement),
    refused: async (fault) => {
      await call('refused', { code: fault.code, message: fault.message })
    },
    tend: (freshness) => call('tend', freshness ?? null),
    status: () => call('status', null),
    live: () => call('live', null),
    decide: (request) => call('decide', request),
    watch: (signal, tell) =>
      agent.call('watch', null, {
        signal,
        tell: (facts) => {
          tell(facts as readonly Watched[])
        },
      }),
    // The agent would go on with a state that is gone.
    uninstall: () => Promise.reject(agentFault('AGENT_BUSY', { file: path })),
    unwritten: () => unwritten,
    close: () => {
      agent.close()
      return Promise.resolve()
    },
  }
}

type Answer<K extends keyof NodeHandle> = NodeHandle[K] extends (...given: never[]) => Promise<infer T> ? T : never
