// What every variant is made to mean in a setting: so many workspaces, each with so many grants of one address, protocol and port,
// half IPv4 and half IPv6, and beside them the endpoints of the server and one address behind it. The same list goes to our backends as a slice of a plan and
// to the rules that are written by hand, and its digest into the results.
//
// Addresses look public, since reserved ones are refused whatever a policy says; they live in namespaces of their own.

import { canonicalize } from '../base/canonical.js'
import { type Digest, digestOfText } from '../base/digest.js'
import type { Slot } from '../plan/inventory.js'
import type { BackendName, Grant, PlanSlice, WorkspacePlan } from '../plan/model.js'

export interface Setting {
  /** Of each workspace, beside the server's endpoints. */
  readonly grants: number
  readonly workspaces: number
}

/** Ports of the server: the generator's three and those of connections that stand, HTTP, iperf3, and more that nothing grants. */
export const PORTS = {
  echo: 7000,
  once: 7001,
  sink: 7002,
  standing: 7003,
  http: 8080,
  iperf: 5201,
  denied: 7100,
} as const
/** Connections that stand are spread over so many: src/native/bench/load.h has the same. */
export const STANDING = 8
/** Of who connects (ip_local_port_range). */
export const CLIENT_PORTS = { from: 1_024, to: 65_000 } as const
/** `other` is the same machine under an address that nothing grants. */
export const SERVER = {
  ipv4: { address: '45.0.0.1', other: '45.0.0.2', router: '45.0.0.254', prefix: 24, beyond: '45.0.0.0/8' },
  ipv6: { address: '2600:45::1', other: '2600:45::2', router: '2600:45::fe', prefix: 64, beyond: '2600:45:1::/48' },
} as const

const ENDPOINTS = [
  ...[
    PORTS.echo,
    PORTS.once,
    PORTS.sink,
    ...Array.from({ length: STANDING }, (_, n) => PORTS.standing + n),
    PORTS.http,
    PORTS.iperf,
  ].map((port) => ({ protocol: 'tcp' as const, port })),
  ...[PORTS.echo, PORTS.iperf].map((port) => ({ protocol: 'udp' as const, port })),
]

/** One allowed thing, as everybody can write it. */
export interface Allowed {
  readonly family: 'ipv4' | 'ipv6'
  readonly address: string
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

const hexadecimal = (n: number): string => n.toString(16)
/** The n-th address beyond the server; src/native/bench/packets.c sends to the same. */
export const beyond = (family: 'ipv4' | 'ipv6', n: number): string =>
  family === 'ipv4'
    ? `45.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`
    : `2600:45:1::${n === 0 ? '' : n < 65_536 ? hexadecimal(n) : `${hexadecimal(n >> 16)}:${hexadecimal(n & 65_535)}`}`

/** How many of the grants are of a family; packets go to at least one. */
export const share = (family: 'ipv4' | 'ipv6', grants: number): number =>
  family === 'ipv4' ? Math.ceil(grants / 2) : Math.floor(grants / 2)

export function allowedBy({ grants }: Setting): Allowed[] {
  const out: Allowed[] = []
  for (const family of ['ipv4', 'ipv6'] as const) {
    for (const endpoint of ENDPOINTS) out.push({ family, address: SERVER[family].address, ...endpoint })
    for (let n = 0; n < Math.max(1, share(family, grants)); n++)
      out.push({ family, address: beyond(family, n), protocol: 'udp', port: 443 })
  }
  return out
}

/** The slot of the n-th workspace; traffic comes from the first. */
export function slotOf(n: number): Slot {
  const octets = [n >> 8, n & 255]
  const [high, low] = octets.map((one) => one.toString(16).padStart(2, '0'))
  const mac = (side: number): string => (n === 0 ? `02:00:00:00:09:0${side}` : `02:00:01:${high}:${low}:0${side}`)
  return {
    kind: 'veth',
    interface: `ws${n}`,
    mac: mac(2),
    addresses: n === 0 ? ['10.9.0.2', '2600:9::2'] : [`10.10.${octets.join('.')}`, `2600:9:1::${hexadecimal(n)}`],
    gateway: {
      mac: mac(1),
      addresses: n === 0 ? ['10.9.0.1', '2600:9::1'] : ['10.10.255.254', '2600:9:1::fffe'],
    },
  }
}

export const workspaceOf = (n: number): string => `spiffe://example.org/workspace/bench/${n}`
const CLAUSE: Digest = `sha256:${'0'.repeat(64)}`

/** The slice of a plan that says it; `expiresAtMs` is its deadline. */
export function sliceOf(setting: Setting, backend: BackendName, generation: number, expiresAtMs: number): PlanSlice {
  const egress = allowedBy(setting).map(({ family, address, protocol, port }): Grant => {
    const prefix = `${address}/${family === 'ipv4' ? 32 : 128}`
    const ports = { from: port, to: port }
    return {
      id: `egress/${protocol}/${prefix}/${port}`,
      direction: 'egress',
      protocol,
      prefix,
      ports,
      opens: false,
      clauses: [CLAUSE],
    }
  })
  const idle = { tcpMs: 432_000_000, udpMs: 120_000, icmpMs: 30_000 }
  const workspaces = Array.from({ length: setting.workspaces }, (_, n): WorkspacePlan => {
    const network = { services: [], egress, ingress: [], names: [], idle }
    return { workspace: workspaceOf(n), slot: slotOf(n), backend, domain: 'host', onExpiry: 'suspend', network }
  })
  const source = {
    bundleId: 'bench',
    bundleDigest: CLAUSE,
    policyRevision: '1',
    epoch: 1,
    channel: 'stable',
    audience: 'bench.example',
    inventoryRevision: '1',
    notBeforeMs: 0,
    expiresAtMs,
  }
  return { generation, planDigest: CLAUSE, source, workspaces }
}

/** Of what is allowed, in its order. */
export const digestOf = (setting: Setting): Digest =>
  digestOfText(
    canonicalize({
      workspaces: setting.workspaces,
      allowed: allowedBy(setting).map((one) => `${one.address} ${one.protocol} ${one.port}`),
    }),
  )
