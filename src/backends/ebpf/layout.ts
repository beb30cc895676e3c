// The layout of everything that the fence program and the agent share: src/native/bpf/fence.h in the agent's words. A test
// compares every size and offset with what the C compiler says. Little-endian hosts only, which the binding checks.
//
// Addresses are 16 octets in network order, an IPv4 address in the first four. Ports are in host order.

import { hex } from '../../base/bytes.js'
import type { Ip } from '../../base/ip.js'
import type { Protocol } from '../../policy/model.js'

export const FENCE_LAYOUT = 4
export const SLOTS = 2
export const MAX_TENANTS = 8192
/** Flows that one workspace may hold, by how many there are. */
export const FLOWS = { least: 4096, most: 65_536, all: 1_048_576 } as const
export const LEARNED_CLAUSES = 4

export const STRUCTS = {
  fence_exact_key: { size: 24, fields: { address: 0, index: 16, port: 20, protocol: 22, kind: 23 } },
  fence_exact4: { size: 16, fields: { address: 0, index: 4, port: 8, protocol: 10, kind: 11, grant: 12 } },
  fence_exact6: { size: 32, fields: { address: 0, index: 16, port: 20, protocol: 22, kind: 23, grant: 28 } },
  fence_prefix_key: {
    size: 28,
    fields: { bits: 0, index: 4, direction: 8, protocol: 9, family: 10, address: 12 },
  },
  fence_prefix: { size: 20, fields: { any_first: 0, any_count: 4, open_first: 8, open_count: 12, up: 16 } },
  fence_range: { size: 8, fields: { from: 0, to: 2, grant: 4 } },
  fence_class_key: { size: 24, fields: { bits: 0, family: 4, address: 8 } },
  fence_workspace: {
    size: 152,
    fields: {
      index: 0,
      tenant: 4,
      flags: 8,
      exact4_mask: 12,
      tcp_ns: 16,
      udp_ns: 24,
      icmp_ns: 32,
      deadline_ns: 40,
      v4: 48,
      v6: 64,
      link_local: 80,
      gateway_link_local: 96,
      mac: 112,
      gateway_mac: 118,
      exact6_mask: 124,
      observe_ns: 128,
      observe: 136,
    },
  },
  fence_tenant: { size: 16, fields: { epoch: 0, flags: 8 } },
  fence_flow_key: {
    size: 40,
    fields: { local: 0, peer: 16, local_port: 32, peer_port: 34, protocol: 36, family: 37 },
  },
  fence_flow: {
    size: 64,
    fields: {
      word: 0,
      last_ns: 8,
      epoch: 16,
      packets: 24,
      octets: 32,
      clause: 40,
      grant: 56,
      direction: 60,
      basis: 61,
      closed: 62,
      answered: 63,
    },
  },
  fence_learned_key: { size: 24, fields: { address: 0, tenant: 16, port: 20, protocol: 22, family: 23 } },
  fence_learned: { size: 96, fields: { clause: 0, expires_ns: 64 } },
  fence_session_key: { size: 24, fields: { address: 0, tenant: 16, family: 20 } },
  fence_session: { size: 16, fields: { expires_ns: 0, expires_ms: 8 } },
  fence_counter: { size: 16, fields: { packets: 0, octets: 8 } },
  fence_event: {
    size: 64,
    fields: {
      at_ns: 0,
      word: 8,
      tenant: 16,
      attachment: 20,
      direction: 24,
      reason: 25,
      protocol: 26,
      family: 27,
      source_port: 28,
      destination_port: 30,
      source: 32,
      destination: 48,
    },
  },
  fence_name: { size: 20, fields: { bits: 0, name: 4 } },
  fence_about: { size: 48, fields: { layout: 0, mark: 4, made_ns: 8, object_digest: 16 } },
  sluice_ebpf_run: { size: 44, fields: { ifindex: 0, verdict: 20, cb: 28, mark_out: 40 } },
} as const

/** Octets of a record that only the agent reads: which grant a counter belongs to. */
export const GRANT_ROW = {
  size: 28,
  fields: { address: 0, from: 16, to: 18, length: 20, direction: 21, protocol: 22, family: 23, ported: 24, owner: 26 },
} as const

export const KIND = { egress: 0, ingress: 1, own: 2, gateway: 3, service: 4, clause: 5 } as const
export const KIND_V6 = 0x80
/** A bucket of exact grants: octets, places, and the mark of one that found more than it holds. */
export const BUCKET = { size: 64, v4: 4, v6: 2, full: 0x80000000 } as const
/** `session`, of prefixes alone: ingress that counts only for the peer of an open session. */
export const DIRECTION = { egress: 0, ingress: 1, session: 2 } as const
/** Peers with a session open, of all workspaces. */
export const MAX_SESSIONS = 65_536
export const PROTOCOL = { tcp: 0, udp: 1, 'icmp-echo': 2 } as const satisfies Record<Protocol, number>
export const CLASS = { public: 0, reserved: 1, never: 2 } as const
export const HAS = { v4: 1, v6: 2, linkLocal: 4, linkLayer: 8, services: 16, sessions: 32 } as const
export const FLAG = { quarantined: 1, suspended: 2 } as const

/** Bits of a prefix key before the address: index, direction, protocol, family. */
export const PREFIX_BITS = 64
export const CLASS_BITS = 32

/** Order of `enum fence_allow`. */
export const ALLOW_REASONS = [
  'service',
  'neighbour',
  'ingress-reply',
  'flow',
  'static-grant',
  'learned-grant',
  'icmp-error',
  'egress-reply',
  'ingress-grant',
  'observed',
] as const
/** Order of `enum fence_refusal`. */
export const REFUSALS = ['silent', 'tcp-reset', 'icmp-prohibited'] as const
/** Rows of `counts` after one for each drop reason. */
export const COUNTS_AFTER_REASONS = [
  'flows-full',
  'events-unsent',
  'events-full',
  'refusals-unsent',
  'observed',
] as const

/** Order of `enum fence_told`: what the `direction` of an event says. */
export const TOLD = { from: 0, to: 1, observed: 2, answered: 3 } as const

export const VERDICT_MARK = 0x51c00000
export const VERDICT_DROP = 0x100
export const VERDICT_REFUSAL_SHIFT = 9

/** Writes an address into 16 octets that are zero. */
export function putAddress(view: DataView, at: number, ip: Ip): void {
  if (ip.family === 4) {
    view.setUint32(at, Number(ip.value), false)
    return
  }
  view.setBigUint64(at, ip.value >> 64n, false)
  view.setBigUint64(at + 8, ip.value & 0xffff_ffff_ffff_ffffn, false)
}

export function addressAt(view: DataView, at: number, family: 4 | 6): Ip {
  if (family === 4) return { family, value: BigInt(view.getUint32(at, false)) }
  return { family, value: (view.getBigUint64(at, false) << 64n) | view.getBigUint64(at + 8, false) }
}

export function putMac(bytes: Uint8Array, at: number, mac: string): void {
  if (mac === '') return
  for (const [i, octet] of mac.split(':').entries()) bytes[at + i] = Number.parseInt(octet, 16)
}

/** The first 16 octets of a clause's digest, by which the kernel knows it. */
export function clauseOctets(clause: string): Uint8Array {
  const digits = clause.slice(clause.indexOf(':') + 1)
  const out = new Uint8Array(16)
  for (let i = 0; i < 16; i++) out[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
  return out
}

export const clauseKey = (octets: Uint8Array): string => hex(octets)

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
