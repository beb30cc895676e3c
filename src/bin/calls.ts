// What the socket of a running agent can be asked, a row a call: the same questions and commands that the command line runs
// in its own process when no agent is there. Commands go through the loop in their turn; questions read and change nothing.

import { readFileSync } from 'node:fs'
import type { Decider } from '../agent/decider.js'
import type { Loop } from '../agent/loop.js'
import type { AgentNode } from '../agent/node.js'
import type { StreamStatus } from '../agent/revocation.js'
import { livePlan, status } from '../agent/status.js'
import { apiFault } from '../api/errors.js'
import type { Peer } from '../api/peer.js'
import type { Calls } from '../api/socket-server.js'
import type { Fact } from '../audit/fact.js'
import type { SinkStatus } from '../audit/sinks/terms.js'
import type { BundleBytes } from '../bundle/model.js'
import type { ApplyRequest, AttachRequest, DetachRequest, QuarantineRequest, Refused } from '../cli/host.js'
import type { OpenFinding } from '../cli/host-findings.js'
import { decided } from './decisions.js'
import { isWatched, slotOf } from './node.js'

export interface Asked {
  readonly loop: Loop
  readonly node: () => Promise<AgentNode>
  readonly commandId: () => string
  readonly decider: Pick<Decider, 'answer'>
  readonly unwritten: () => string | undefined
  /** undefined: there are none. */
  readonly sinks: () => readonly SinkStatus[] | undefined
  /** undefined: none is listened to. */
  readonly streams: () => readonly StreamStatus[] | undefined
  /** Causes of findings that are not over. */
  readonly findings: () => readonly OpenFinding[]
  /** What the agent sees, for whoever looks on. */
  readonly onlookers: Set<(facts: readonly Fact[]) => void>
}

export function callsOf({
  loop,
  node,
  commandId,
  decider,
  unwritten,
  sinks,
  streams,
  findings,
  onlookers,
}: Asked): Calls {
  const made = (peer: Peer) => ({ by: `user:${userName(peer.uid)}`, commandId: commandId() })
  return {
    apply: (given, { peer }) => {
      const { bundle, inventory, freshness, once } = given as ApplyRequest
      if (typeof bundle === 'string') throw apiFault('API_WIRE', { why: 'a bundle is sent, not named' })
      const fresh = freshness ? { freshness } : {}
      const fetch = (): Promise<BundleBytes> => Promise.resolve(bundle)
      return loop.run<'apply'>({ kind: 'apply', ...made(peer), fetch, inventory, retry: once !== true, ...fresh })
    },
    quarantine: (given, { peer }) => {
      const { kind, workspace, reason } = given as QuarantineRequest
      return loop.run<'quarantine-set' | 'quarantine-lift'>({ kind, ...made(peer), workspace, reason })
    },
    attach: (given, { peer }) => {
      const { kind, interface: place, ...rest } = given as AttachRequest
      return loop.run<'attach'>({ kind: 'attach', ...made(peer), ...rest, slot: slotOf(kind, place) })
    },
    detach: (given, { peer }) => loop.run<'detach'>({ kind: 'detach', ...made(peer), ...(given as DetachRequest) }),
    breakGlass: (given, { peer }) =>
      loop.run<'breakglass'>({ kind: 'breakglass', ...made(peer), statement: given as Uint8Array }),
    refused: (given, { peer }) => {
      const { code, message } = given as Refused
      return loop.run<'refused'>({ kind: 'refused', ...made(peer), code, message })
    },
    tend: (given, { peer }) =>
      loop.run<'tend'>({ kind: 'tend', ...made(peer), ...(given ? { freshness: given as Uint8Array } : {}) }),
    status: async () => {
      const found = sinks()
      const heard = streams()
      const more = { ...(found ? { sinks: found } : {}), ...(heard ? { streams: heard } : {}) }
      return { ...(await status(await node())), ...more, findings: findings() }
    },
    live: async () => livePlan(await node()),
    decide: (given) => decided(decider, given),
    watch: (_given, { signal, tell }) => {
      const look = (facts: readonly Fact[]): void => {
        const seen = facts.filter(isWatched)
        if (seen.length > 0) tell(seen)
      }
      onlookers.add(look)
      return new Promise((resolve) => {
        const end = (): void => {
          onlookers.delete(look)
          resolve(undefined)
        }
        if (signal.aborted) end()
        else signal.addEventListener('abort', end, { once: true })
      })
    },
    unwritten: () => Promise.resolve(unwritten() ?? null),
  }
}

/** By /etc/passwd; the number when it has no line there. */
export function userName(uid: number): string {
  try {
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
    return lines.find((line) => line.split(':')[2] === String(uid))?.split(':')[0] ?? String(uid)
  } catch {
    // Without the file everybody is a number.
    return String(uid)
  }
}
