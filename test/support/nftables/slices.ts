// Plan slices for the two workspaces of the laboratory, made of grants written as text: `tcp 45.76.10.10 443`.

import { type Digest, digestOfText } from '../../../src/base/digest.js'
import { parsePrefix } from '../../../src/base/ip.js'
import { parsePorts } from '../../../src/base/ports.js'
import { prefixClass } from '../../../src/base/reserved.js'
import { grantId } from '../../../src/plan/grants.js'
import type { Slot } from '../../../src/plan/inventory.js'
import type { FenceService, Grant, NameRule, PlanSlice, WorkspacePlan } from '../../../src/plan/model.js'
import type { Protocol } from '../../../src/policy/model.js'
import { type WorkspaceEnd, WS, WS2 } from '../lab/addresses.js'

export const ID = 'spiffe://example.org/workspace/ws0'
export const ID2 = 'spiffe://example.org/workspace/ws1'

export const clauseOf = (text: string): Digest => digestOfText(text)

export function grantOf(direction: 'egress' | 'ingress', text: string): Grant {
  const [protocol = '', where = '', port] = text.split(' ')
  const parsed = parsePrefix(where)
  if (!parsed) throw new Error(`bad grant: ${text}`)
  const { prefix } = parsed
  const canonical = where.includes('/') ? where : `${where}/${prefix.length}`
  const ports = port === undefined ? null : (parsePorts(port) ?? null)
  return {
    id: grantId(direction, protocol as Protocol, canonical, ports),
    direction,
    protocol: protocol as Protocol,
    prefix: canonical,
    ports,
    opens: prefixClass(prefix) === 'opens',
    clauses: [clauseOf(text)],
  }
}

export const slotOf = (end: WorkspaceEnd): Slot => ({
  kind: 'veth',
  interface: end.slot,
  mac: end.mac,
  addresses: [end.v4, end.v6],
  gateway: { mac: end.gatewayMac, addresses: [end.gateway4, end.gateway6] },
})

export interface Wanted {
  readonly egress?: readonly string[]
  readonly ingress?: readonly string[]
  readonly names?: readonly string[]
  readonly services?: readonly FenceService[]
  readonly onExpiry?: 'suspend' | 'hold'
}

export const nameRule = (pattern: string): NameRule => ({
  clause: clauseOf(pattern),
  pattern,
  wildcard: false,
  protocol: 'tcp',
  ports: [{ from: 443, to: 443 }],
  within: [],
})

const workspaceOf = (workspace: string, end: WorkspaceEnd, wanted: Wanted): WorkspacePlan => ({
  workspace,
  policy: 'test',
  slot: slotOf(end),
  backend: 'nftables',
  domain: 'host',
  onExpiry: wanted.onExpiry ?? 'suspend',
  network: {
    services: wanted.services ?? [],
    egress: (wanted.egress ?? []).map((text) => grantOf('egress', text)),
    ingress: (wanted.ingress ?? []).map((text) => grantOf('ingress', text)),
    names: (wanted.names ?? []).map(nameRule),
    idle: { tcpMs: 432_000_000, udpMs: 120_000, icmpMs: 30_000 },
  },
})

/** One slice; the second workspace is in the inventory and granted nothing unless it is said. */
export function sliceOf(generation: number, ws: Wanted, ws2: Wanted = {}, expiresAtMs = 4_102_444_800_000): PlanSlice {
  return {
    generation,
    planDigest: digestOfText(`plan ${generation}`),
    source: {
      bundleId: 'test',
      bundleDigest: digestOfText('bundle'),
      policyRevision: String(generation),
      epoch: 1,
      channel: 'stable',
      audience: 'test',
      inventoryRevision: '1',
      notBeforeMs: 0,
      expiresAtMs,
    },
    workspaces: [workspaceOf(ID, WS, ws), workspaceOf(ID2, WS2, ws2)],
  }
}

/** What a first start commits: nobody is attached. */
export const emptySlice = (generation: number): PlanSlice => ({ ...sliceOf(generation, {}), workspaces: [] })
