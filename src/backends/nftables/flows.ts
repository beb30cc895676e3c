// Live flows against the plan: which conntrack entries of the workspaces still have a grant, and the destruction of those that
// have none, so that nothing revives them (design section 5, "Removing its clause or static grant cuts it"). Judged over all
// flows and not over the difference of two plans: a flow that an earlier failure left behind goes too.

import { formatIp, type Ip, inRange, parseIp } from '../../base/ip.js'
import { addressClass } from '../../base/reserved.js'
import { nftablesFault } from './errors.js'
import { FLOW_OCTETS, native, onPool } from './native.js'
import { ipOf, octetsOf } from './octets.js'
import type { FlowGrant, NftWorkspace } from './program.js'

export interface LiveFlow {
  readonly source: Ip
  readonly destination: Ip
  readonly protocol: 'tcp' | 'udp' | 'icmp-echo' | 'other'
  readonly destinationPort: number
  readonly mark: number
}

/** `observe` is not in the kernel: after a crash between a switch and its record, what was only observed is cut. */
type Judged = Pick<NftWorkspace, 'addresses' | 'flowGrants' | 'services' | 'observe'> & {
  readonly clauses: readonly { readonly mark: number }[]
  /** Peers with a session open. */
  readonly peers?: ReadonlySet<string>
}

/** Grants of one workspace, exact ones by hash; indexed when the first flow asks, because most have none. */
class Judge {
  private readonly exact = new Set<string>()
  private readonly ranges: FlowGrant[] = []
  private readonly sessions: FlowGrant[] = []
  private readonly marks: ReadonlySet<number>
  private readonly services: ReadonlySet<string>
  private indexed = false

  constructor(private readonly judged: Judged) {
    const { clauses, observe } = judged
    this.marks = new Set([...clauses.map(({ mark }) => mark), ...(observe ? [observe.begun, observe.answered] : [])])
    this.services = new Set(judged.services)
  }

  private index(): void {
    if (this.indexed) return
    this.indexed = true
    for (const grant of this.judged.flowGrants) {
      if (grant.session) this.sessions.push(grant)
      else if (grant.range.first === grant.range.last && grant.from === grant.to)
        this.exact.add(keyOf(grant.direction, grant.protocol, grant.range.family, grant.range.first, grant.from))
      else this.ranges.push(grant)
    }
  }

  grants(direction: FlowGrant['direction'], peer: Ip, flow: LiveFlow): boolean {
    const { protocol, destinationPort: port } = flow
    if (protocol === 'other') return false
    if (direction === 'egress' && this.services.has(`${formatIp(peer)} ${protocol} ${port}`)) return true
    if (direction === 'egress' && flow.mark !== 0 && this.marks.has(flow.mark)) return true
    const where = direction === 'egress' ? addressClass(peer) : 'public'
    if (where === 'never') return false
    this.index()
    if (this.exact.has(keyOf(direction, protocol, peer.family, peer.value, port))) return true
    const covers = (grant: FlowGrant): boolean =>
      grant.direction === direction &&
      grant.protocol === protocol &&
      (protocol === 'icmp-echo' || (grant.from <= port && port <= grant.to)) &&
      (where !== 'reserved' || grant.opens) &&
      inRange(peer, grant.range)
    if (this.ranges.some(covers)) return true
    return this.judged.peers?.has(formatIp(peer)) === true && this.sessions.some(covers)
  }
}

const keyOf = (direction: string, protocol: string, family: number, value: bigint, port: number): string =>
  `${direction} ${protocol} ${family} ${value} ${port}`

/** True for a flow that every workspace it touches still grants. */
export function flowJudge(workspaces: readonly Judged[]): (flow: LiveFlow) => boolean {
  const byAddress = new Map<string, Judge>()
  for (const workspace of workspaces) {
    const judge = new Judge(workspace)
    for (const address of workspace.addresses) byAddress.set(address, judge)
  }
  return (flow) => {
    const from = byAddress.get(formatIp(flow.source))
    const to = byAddress.get(formatIp(flow.destination))
    return (!from || from.grants('egress', flow.destination, flow)) && (!to || to.grants('ingress', flow.source, flow))
  }
}

/** False for a flow into the workspace that neither a grant nor a session allows; what it began itself is not asked about. */
export function comingJudge(judged: Judged): (flow: LiveFlow) => boolean {
  const judge = new Judge(judged)
  const own = new Set(judged.addresses)
  return (flow) => !own.has(formatIp(flow.destination)) || judge.grants('ingress', flow.source, flow)
}

/** Addresses in the order and form that the native side searches: sixteen octets each, sorted. */
function packAddresses(addresses: readonly string[]): Uint8Array {
  const parsed = [...new Set(addresses)].map((text) => {
    const padded = new Uint8Array(16)
    padded.set(octetsOf(parseIp(text)))
    return padded
  })
  return Buffer.concat(parsed.sort((a, b) => Buffer.compare(a, b)))
}

const PROTOCOLS: Readonly<Record<number, LiveFlow['protocol']>> = {
  1: 'icmp-echo',
  6: 'tcp',
  17: 'udp',
  58: 'icmp-echo',
}

function readFlow(records: Uint8Array, at: number): LiveFlow {
  const view = new DataView(records.buffer, records.byteOffset + at, FLOW_OCTETS)
  const family = view.getUint8(36) === 4 ? 4 : 6
  return {
    source: ipOf(records, at, family),
    // Who answers: where the node translates, that is what the rules judge, and the original destination is not.
    destination: ipOf(records, at + 64, family),
    destinationPort: view.getUint16(50, true),
    protocol: PROTOCOLS[view.getUint8(37)] ?? 'other',
    mark: view.getUint32(40, true),
  }
}

/**
 * Destroys the flows of these addresses that `keep` does not want. Gives how many. Throws NFT_CUT when conntrack cannot be
 * read or written; then some may be left.
 */
export async function cutFlows(addresses: readonly string[], keep: (flow: LiveFlow) => boolean): Promise<number> {
  if (addresses.length === 0) return 0
  const locals = packAddresses(addresses)
  for (let capacity = 8192; ; capacity *= 4) {
    const records = new Uint8Array(capacity * FLOW_OCTETS)
    const total = new Uint32Array(1)
    const count = await onPool(native().flowsList, locals, locals.length / 16, records, capacity, total)
    if (count < 0) throw nftablesFault('NFT_CUT', { why: `conntrack cannot be listed (errno ${-count})` })
    if ((total[0] ?? 0) > capacity) continue
    return destroy(records, count, keep)
  }
}

async function destroy(records: Uint8Array, count: number, keep: (flow: LiveFlow) => boolean): Promise<number> {
  const condemned: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    const at = i * FLOW_OCTETS
    if (!keep(readFlow(records, at))) condemned.push(records.subarray(at, at + FLOW_OCTETS))
  }
  if (condemned.length === 0) return 0
  const packed = Buffer.concat(condemned)
  const deleted = await onPool(native().flowsDelete, packed, condemned.length)
  if (deleted < 0) throw nftablesFault('NFT_CUT', { why: `a conntrack entry cannot be deleted (errno ${-deleted})` })
  return deleted
}
