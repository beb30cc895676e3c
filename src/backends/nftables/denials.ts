// Refused packets: the kernel samples them into NFLOG group 4201 with the reason in the prefix, a native thread takes them, and
// here they become denials with their workspace. Nothing waits for them: what is not kept is counted.

import { formatIp, type Ip } from '../../base/ip.js'
import { DROP_REASONS, type DropReason } from '../../plan/state.js'
import { type Denial, type DenialBatch, type Sighting, sightingOf } from '../backend.js'
import { nftablesFault } from './errors.js'
import { DENIAL_OCTETS, native, onPool, textAt } from './native.js'
import { ipOf } from './octets.js'
import type { LiveRecord } from './record.js'
import { LOG_GROUP } from './scaffold.js'
import type { Session } from './session.js'

const RING_SLOTS = 8_192
const BATCH = 512
/** An exit of the process waits for the poll that is under way. */
const POLL_MS = 50
/** Lets a flood gather, so that it is taken in batches. */
const GATHER_MS = 2

/** Delivers until the returned function is called. Throws NFT_DENIALS. */
export async function readDenials(
  session: Session,
  deliver: (batch: DenialBatch) => void,
): Promise<() => Promise<void>> {
  const out: [unknown] = [null]
  const status = native().nflogOpen(LOG_GROUP, RING_SLOTS, out)
  if (status < 0) throw nftablesFault('NFT_DENIALS', { group: LOG_GROUP, errno: -status })
  let stopping = false
  const loop = (async () => {
    const records = new Uint8Array(BATCH * DENIAL_OCTETS)
    while (!stopping) {
      const lost = new BigUint64Array(1)
      const count = await onPool(native().nflogDrain, out[0], records, BATCH, POLL_MS, lost)
      if (count === 0 && lost[0] === 0n) continue
      const denials: Denial[] = []
      const observed: Sighting[] = []
      for (let i = 0; i < count; i++) {
        const record = records.subarray(i * DENIAL_OCTETS, (i + 1) * DENIAL_OCTETS)
        const denial = readDenial(record, session.live)
        if (!denial) continue
        if (isSighting(record)) observed.push(sightingOf(denial))
        else denials.push(denial)
      }
      deliver({ denials, ...(observed.length > 0 ? { observed } : {}), lost: Number(lost[0] ?? 0n) })
      await new Promise((done) => setTimeout(done, GATHER_MS))
    }
  })()
  return async () => {
    stopping = true
    await loop
    native().nflogClose(out[0])
  }
}

const REASONS: ReadonlySet<string> = new Set(DROP_REASONS)

/** `sluice:REASON:SIDE`, of which `o` and `a` are flows that passed (scaffold.ts, observedSample). */
const isSighting = (record: Uint8Array): boolean => /:[oa]$/.test(textAt(record, 32, 32))

/** One record of the native reader; undefined when it is not a packet of a workspace of ours. */
export function readDenial(record: Uint8Array, live: LiveRecord | null): Denial | undefined {
  const view = new DataView(record.buffer, record.byteOffset, record.length)
  const [owner, reason = '', side] = textAt(record, 32, 32).split(':')
  if (owner !== 'sluice' || !REASONS.has(reason)) return undefined
  const direction = side === 't' || side === 'a' ? 'to' : 'from'
  const packet = readHeaders(record.subarray(80, 80 + view.getUint16(74, true)))
  if (!packet) return undefined
  const link = textAt(record, direction === 'from' ? 0 : 16, 16)
  const address = direction === 'from' ? packet.source : packet.destination
  const at =
    live?.workspaces.find((one) => one.interface === link) ??
    live?.workspaces.find((one) => one.addresses.includes(address))
  if (!at) return undefined
  return {
    atMs: Number(view.getBigUint64(64, true) / 1_000_000n),
    workspace: at.workspace,
    direction,
    reason: reason as DropReason,
    ...packet,
    generation: live?.generation ?? 0,
  }
}

type Headers = Pick<Denial, 'protocol' | 'source' | 'destination' | 'sourcePort' | 'destinationPort'>

/** // untrusted: every octet is the workspace's. Short packets give what they have, or undefined without addresses. */
function readHeaders(bytes: Uint8Array): Headers | undefined {
  const version = (bytes[0] ?? 0) >> 4
  if (version === 4 && bytes.length >= 20) {
    const header = ((bytes[0] ?? 0) & 15) * 4
    const first = (u16(bytes, 6) & 0x1fff) === 0
    return withPorts(
      bytes[9] ?? 0,
      addressAt(bytes, 12, 4),
      addressAt(bytes, 16, 4),
      first ? bytes.subarray(header) : [],
    )
  }
  if (version === 6 && bytes.length >= 40)
    return withPorts(bytes[6] ?? 0, addressAt(bytes, 8, 6), addressAt(bytes, 24, 6), bytes.subarray(40))
  return undefined
}

function withPorts(protocol: number, source: string, destination: string, rest: ArrayLike<number>): Headers {
  const ported = (protocol === 6 || protocol === 17) && rest.length >= 4
  return {
    protocol,
    source,
    destination,
    ...(ported ? { sourcePort: u16(rest, 0), destinationPort: u16(rest, 2) } : {}),
  }
}

const u16 = (bytes: ArrayLike<number>, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)

const addressAt = (bytes: Uint8Array, at: number, family: Ip['family']): string => formatIp(ipOf(bytes, at, family))
