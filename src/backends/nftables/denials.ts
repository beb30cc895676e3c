// Refused packets: the kernel samples them into NFLOG group 4201 with the reason in the prefix, a native thread takes them, and
// here they become denials with their workspace. Nothing waits for them: what is not kept is counted, and so is what the kernel refused
// and did not sample, as far as the last look at its counters goes (reckoning.ts).

import { formatIp, type Ip } from '../../base/ip.js'
import { DROP_REASONS, type DropReason } from '../../plan/state.js'
import { type Denial, type DenialBatch, type Sighting, sightingOf } from '../backend.js'
import { nftablesFault } from './errors.js'
import { DENIAL_OCTETS, native, onPool, textAt } from './native.js'
import { ipOf } from './octets.js'
import { isReckoned } from './reckoning.js'
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
  const { reckoning } = session
  reckoning.begin()
  let stopping = false
  const records = new Uint8Array(BATCH * DENIAL_OCTETS)
  const take = async (atMs: number): Promise<void> => {
    const gone = new BigUint64Array(1)
    const count = await onPool(native().nflogDrain, out[0], records, BATCH, POLL_MS, gone)
    const denials: Denial[] = []
    const observed: Sighting[] = []
    let sampled = 0
    for (let i = 0; i < count; i++) {
      const record = records.subarray(i * DENIAL_OCTETS, (i + 1) * DENIAL_OCTETS)
      if (isReckonedSample(record)) sampled++
      const denial = readDenial(record, session.live)
      if (!denial) continue
      if (isSighting(record)) observed.push(sightingOf(denial))
      else denials.push(denial)
    }
    reckoning.tell(sampled + Number(gone[0]))
    const lost = Number(gone[0]) + reckoning.due(atMs)
    if (count > 0 || lost > 0) deliver({ denials, ...(observed.length > 0 ? { observed } : {}), lost })
    if (count > 0) await new Promise((done) => setTimeout(done, GATHER_MS))
  }
  const loop = (async () => {
    while (!stopping) await take(Date.now())
    // Whoever stops has looked before: nothing of that comes any more.
    await take(Number.POSITIVE_INFINITY)
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

/** A sample of what the counters count, whoever's packet it was. */
function isReckonedSample(record: Uint8Array): boolean {
  const [owner, reason = ''] = textAt(record, 32, 32).split(':')
  return owner === 'sluice' && REASONS.has(reason) && isReckoned(reason as DropReason) && !isSighting(record)
}

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
