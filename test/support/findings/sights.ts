// Sights for the detectors, each as the agent would give it: refused packets as the fold makes them, questions, calls.

import type { Fact, FactOf, WorkspaceContext } from '../../../src/audit/fact.js'
import type { LifecycleCall, NameAsked } from '../../../src/findings/sight.js'
import { POLICY, WORKSPACE } from '../facts.js'

export const at = (workspace: string): WorkspaceContext => ({ ...WORKSPACE, workspace })

type Denied = FactOf<'flow-denied'>
export const denied = (atMs: number, destination: string, port: number, more: Partial<Denied> = {}): Denied => ({
  kind: 'flow-denied',
  atMs,
  firstAtMs: atMs,
  policy: POLICY,
  workspace: WORKSPACE,
  flow: {
    direction: 'egress',
    protocol: 6,
    source: '10.9.0.2',
    sourcePort: 40_000,
    destination,
    destinationPort: port,
  },
  reason: 'no-grant',
  backend: 'nftables',
  refusal: 'reset',
  count: 1,
  ...more,
})

export const observed = (atMs: number, destination: string, port: number): FactOf<'flow-observed'> => {
  const { policy, workspace, firstAtMs, flow, backend } = denied(atMs, destination, port)
  return {
    ...{ kind: 'flow-observed', atMs, firstAtMs, workspace, flow, backend, reason: 'no-grant' },
    ...(policy ? { policy } : {}),
    ...{ count: 2, begun: 1, answered: 1 },
  }
}

export const asked = (atMs: number, name: string, rcode = 'NOERROR', workspace = WORKSPACE): NameAsked => ({
  ...{ kind: 'name-asked', atMs, workspace, policy: POLICY, name, rcode },
})

export const called = (
  atMs: number,
  by: string,
  command: string,
  workspace = WORKSPACE.workspace,
  refused = false,
): LifecycleCall => ({ kind: 'lifecycle-call', atMs, by, command, workspace, refused })

export const rolledBack = (atMs: number, code = 'BUNDLE_COUNTER_REGRESSION'): Fact => ({
  kind: 'bundle-refused',
  atMs,
  code,
  say: 'revision 5 is older than 7, which this node has seen',
  offered: { bundleId: 'acme-agents', policyRevision: '5' },
  held: POLICY,
  attack: true,
})

/** The same numbers for the same seed (xorshift32). */
export function chance(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}

export const letters = (
  pick: (below: number) => number,
  length: number,
  of = 'abcdefghijklmnopqrstuvwxyz234567',
): string => Array.from({ length }, () => of[pick(of.length)]).join('')
