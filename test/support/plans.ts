// Small plans for tests, made by the real compiler from clauses written here.

import { memoryCapabilities } from '../../src/backends/memory/capabilities.js'
import { digestOfText } from '../../src/base/digest.js'
import { type PortRange, parsePorts } from '../../src/base/ports.js'
import type { Capabilities } from '../../src/plan/capabilities.js'
import { compilePlan } from '../../src/plan/compile.js'
import type { InventoryEntry } from '../../src/plan/inventory.js'
import type { Plan, PlanSource } from '../../src/plan/model.js'
import type {
  Clause,
  EgressClause,
  IngressClause,
  Loss,
  ObserveClause,
  Policy,
  Protocol,
  Target,
} from '../../src/policy/model.js'

export const WS = 'spiffe://example.org/workspace/dev/ws0'
export const WS_MAC = '02:00:00:00:09:02'
export const GATEWAY_MAC = '02:00:00:00:09:01'

export const ENTRY: InventoryEntry = {
  workspace: WS,
  slot: {
    kind: 'veth',
    interface: 'ws0',
    mac: WS_MAC,
    addresses: ['10.9.0.2', 'fd09:0:0:1::2'],
    gateway: { mac: GATEWAY_MAC, addresses: ['10.9.0.1', 'fd09:0:0:1::1'] },
  },
}

export const SOURCE: PlanSource = {
  bundleId: 'test',
  bundleDigest: digestOfText('test'),
  policyRevision: '1',
  epoch: 1,
  channel: 'stable',
  audience: 'test',
  inventoryRevision: '1',
  notBeforeMs: 0,
  expiresAtMs: 4_102_444_800_000,
}

const ports = (texts: readonly string[]): PortRange[] => texts.map((text) => parsePorts(text) as PortRange)

export function egress(
  name: string,
  to: readonly string[],
  protocol: Protocol,
  portTexts: readonly string[] = [],
  losses: readonly Loss[] = [],
): EgressClause {
  const targets: Target[] = to.map((text) =>
    /^[0-9.:a-f]+(\/\d+)?$/.test(text) && /[.:]/.test(text)
      ? { kind: 'prefix', prefix: text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}` }
      : { kind: 'name', pattern: text, wildcard: text.includes('*') },
  )
  return {
    kind: 'egress',
    id: digestOfText(`egress ${to.join(' ')} ${protocol} ${portTexts.join(' ')}`),
    name,
    origin: { file: 'fence.yaml', path: `egress.${name}`, line: 1 },
    losses,
    protocol,
    to: targets,
    ports: ports(portTexts),
  }
}

export const ingress = (
  name: string,
  from: readonly string[],
  protocol: Protocol,
  portTexts: readonly string[],
  session?: 'required',
): IngressClause => ({
  kind: 'ingress',
  id: digestOfText(`ingress ${from.join(' ')} ${protocol} ${portTexts.join(' ')}${session ? ' session' : ''}`),
  name,
  origin: { file: 'fence.yaml', path: `ingress.${name}`, line: 1 },
  losses: [],
  protocol,
  from,
  ports: ports(portTexts),
  ...(session ? { session } : {}),
})

/** `until` in milliseconds since 1970. */
export const observe = (untilMs: number, names: readonly string[] = []): ObserveClause => ({
  kind: 'observe',
  id: digestOfText(`observe ${untilMs} ${names.join(' ')}`),
  name: 'observe',
  origin: { file: 'fence.yaml', path: 'observe.until', line: 8 },
  losses: [],
  untilMs,
  names,
})

export const policy = (clauses: readonly Clause[], more: Partial<Policy> = {}): Policy => ({
  name: 'test',
  file: 'fence.yaml',
  appliesTo: [WS],
  requireDomain: 'host',
  onExpiry: 'suspend',
  delegate: [],
  dns: { pins: new Map() },
  clauses,
  ...more,
})

/** Without names, which most plans here have no mediator for. */
export const MEMORY: Capabilities = {
  ...memoryCapabilities({ backend: 'memory', trustDomain: 'host', probes: [] }),
  names: false,
}

export function compile(
  policies: readonly Policy[],
  capabilities: Capabilities = MEMORY,
  entries: readonly InventoryEntry[] = [ENTRY],
) {
  return compilePlan({
    source: SOURCE,
    policies,
    inventory: { audience: 'test', revision: '1', entries },
    capabilities: [capabilities],
    order: [capabilities.backend],
    mediated: capabilities.names,
  })
}

/** A plan for one workspace; throws when the clauses do not compile. */
export function planOf(
  clauses: readonly Clause[],
  more: Partial<Policy> = {},
  capabilities: Capabilities = MEMORY,
): Plan {
  const { plan, notes } = compile([policy(clauses, more)], capabilities)
  if (!plan) throw new Error(notes.map((note) => note.say).join('\n'))
  return plan
}
