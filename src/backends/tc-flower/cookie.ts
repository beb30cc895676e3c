// What each of our filters carries in the cookie of its action, sixteen octets that the kernel keeps and shows: whose it is, what
// it is there for, and the numbers that a later agent needs to know it again.

import { decodeHex, hex } from '../../base/bytes.js'
import type { Digest } from '../../base/digest.js'
import { DROP_REASONS, type DropReason } from '../../plan/state.js'

export type Cookie =
  /** Leads into a generation: its number, and the first nine octets of the plan's digest. */
  | { readonly kind: 'switch'; readonly generation: number; readonly digest: string }
  /** Closes a workspace above everything else. */
  | { readonly kind: 'flag'; readonly quarantined: boolean; readonly suspended: boolean }
  | { readonly kind: 'drop'; readonly reason: DropReason }
  /** Where the grant stands in the workspace's list. */
  | { readonly kind: 'grant'; readonly ordinal: number }
  /** Until when, and the first six octets of the clause that it was learnt under. */
  | { readonly kind: 'learned'; readonly expiresAtMs: number; readonly clause: string }
  | { readonly kind: 'plain' }

const MARK = [0x53, 0x6c] as const // "Sl"
const KINDS = ['switch', 'flag', 'drop', 'grant', 'learned', 'plain'] as const
const SWITCH_OCTETS = 9
const CLAUSE_OCTETS = 6

/** What `switch` and `learned` carry of a digest. */
export const switchMark = (digest: Digest): string =>
  digest.slice('sha256:'.length, 'sha256:'.length + 2 * SWITCH_OCTETS)
export const clauseMark = (clause: string): string =>
  clause.slice('sha256:'.length, 'sha256:'.length + 2 * CLAUSE_OCTETS)

export function cookieOctets(cookie: Cookie): Uint8Array {
  const out = new Uint8Array(16)
  const view = new DataView(out.buffer)
  out.set([...MARK, KINDS.indexOf(cookie.kind)])
  switch (cookie.kind) {
    case 'switch':
      view.setUint32(3, cookie.generation)
      out.set(decodeHex(cookie.digest) ?? [], 7)
      break
    case 'flag':
      out[3] = Number(cookie.quarantined) + 2 * Number(cookie.suspended)
      break
    case 'drop':
      out[3] = DROP_REASONS.indexOf(cookie.reason)
      break
    case 'grant':
      view.setUint32(3, cookie.ordinal)
      break
    case 'learned':
      view.setBigUint64(
        2,
        (BigInt(KINDS.indexOf('learned')) << 56n) | (BigInt(cookie.expiresAtMs) & ((1n << 56n) - 1n)),
      )
      out.set(decodeHex(cookie.clause) ?? [], 10)
      break
    case 'plain':
  }
  return out
}

/** undefined: not one of ours. */
export function readCookie(octets: Uint8Array | undefined): Cookie | undefined {
  if (octets?.length !== 16 || octets[0] !== MARK[0] || octets[1] !== MARK[1]) return undefined
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const kind = KINDS[octets[2] ?? -1]
  switch (kind) {
    case 'switch':
      return { kind, generation: view.getUint32(3), digest: hex(octets.subarray(7, 7 + SWITCH_OCTETS)) }
    case 'flag':
      return { kind, quarantined: ((octets[3] ?? 0) & 1) !== 0, suspended: ((octets[3] ?? 0) & 2) !== 0 }
    case 'drop': {
      const reason = DROP_REASONS[octets[3] ?? -1]
      return reason === undefined ? undefined : { kind, reason }
    }
    case 'grant':
      return { kind, ordinal: view.getUint32(3) }
    case 'learned': {
      const expiresAtMs = Number(view.getBigUint64(2) & ((1n << 56n) - 1n))
      return { kind, expiresAtMs, clause: hex(octets.subarray(10, 10 + CLAUSE_OCTETS)) }
    }
    case 'plain':
      return { kind }
    case undefined:
  }
  return undefined
}
