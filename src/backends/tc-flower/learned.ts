// Addresses that the mediator learns, as filters at a priority of their own. What is held is the state; the filters of each band
// follow from it and the time, and are brought into agreement whenever either changes. Each filter carries its end and its clause
// in its cookie, so that the next agent takes up what it finds; the name is not there, and comes back with the next answer.

import { familyBits, formatIp, type Ip, parseIp } from '../../base/ip.js'
import { addressClass } from '../../base/reserved.js'
import { type ClausesOf, LearnedGrants, tupleOf } from '../../plan/learned.js'
import type { LearnedGrant } from '../../plan/model.js'
import { clauseMark } from './cookie.js'
import { familyOf } from './grants.js'
import type { Kernel } from './kernel.js'
import { actionOf, chainAt, type Station, type Turn } from './place.js'
import type { Post } from './post.js'
import { type LearnedBand, type Match, PRIORITY } from './program.js'
import type { HeldWorkspace } from './record.js'
import type { Found, Rule } from './rule.js'

/** Tuples that one workspace may have learnt; what ran out longest ago gives way. */
export const MOST_EACH = 8192
const PIECE = 256

interface Entry {
  readonly handle: number
  readonly expiresAtMs: number
  readonly etherType: 'ip' | 'ipv6'
}
type Wanted = LearnedGrant & { readonly ip: Ip }

const NUMBER = { tcp: 6, udp: 17 } as const

/** One band of one workspace in one turn. */
interface Where {
  readonly post: Post
  readonly station: Station
  readonly turn: Turn
  readonly band: LearnedBand
}

export const clausesOf =
  (workspaces: readonly HeldWorkspace[]): ClausesOf =>
  (workspace) =>
    workspaces.find((at) => at.workspace === workspace)?.clauses

export class Learned {
  readonly grants = new LearnedGrants()
  /** By station and chain: what is in the kernel, by tuple. */
  private readonly entries = new Map<string, Map<string, Entry>>()
  private lastHandle = 0

  constructor(private readonly kernel: Kernel) {}

  /** As `Driver.learn` says of grants of one clause and tuple. */
  add(workspaces: readonly HeldWorkspace[], grants: readonly LearnedGrant[]): void {
    this.grants.add(clausesOf(workspaces), grants, (taught) => {
      if (taught.size <= MOST_EACH) return
      const oldest = [...taught].sort(([, a], [, b]) => a.expiresAtMs - b.expiresAtMs)
      for (const [key] of oldest.slice(0, taught.size - MOST_EACH)) taught.delete(key)
    })
  }

  /** Brings a workspace's bands of one turn into agreement with what is held; in force when it returns. Throws FLOWER_KERNEL. */
  sync(at: HeldWorkspace, post: Post, turn: Turn, nowMs: number): void {
    const held = this.grants.of(at.workspace)
    for (const band of at.bands) {
      const station = post.stations.find(({ side }) => side === band.side)
      if (station) this.syncBand({ post, station, turn, band }, wantedIn(held, band, nowMs))
    }
  }

  private syncBand(where: Where, wanted: ReadonlyMap<string, Wanted>): void {
    const { station, turn, band } = where
    const chain = chainAt(station, turn, band.chain)
    const there = this.entriesOf(station, chain)
    const gone = [...there].filter(([tuple]) => !wanted.has(tuple))
    for (let from = 0; from < gone.length; from += PIECE) {
      const piece = gone.slice(from, from + PIECE)
      const { ifindex, hook } = station
      this.kernel.take(
        piece.map(([, { handle, etherType }]) => ({
          ifindex,
          hook,
          chain,
          priority: priorityOf(etherType),
          handle,
          etherType,
        })),
      )
      for (const [tuple] of piece) there.delete(tuple)
    }
    const changed = [...wanted].filter(([tuple, { expiresAtMs }]) => there.get(tuple)?.expiresAtMs !== expiresAtMs)
    for (let from = 0; from < changed.length; from += PIECE) {
      const rows = changed.slice(from, from + PIECE).map(([tuple, grant]) => {
        const { etherType } = familyOf(grant.ip.family)
        const handle = there.get(tuple)?.handle ?? ++this.lastHandle
        return {
          tuple,
          entry: { handle, expiresAtMs: grant.expiresAtMs, etherType },
          rule: ruleOf(where, chain, handle, grant),
        }
      })
      this.kernel.put(
        rows.map(({ rule }) => rule),
        true,
      )
      for (const { tuple, entry } of rows) there.set(tuple, entry)
    }
  }

  /** The chains of a turn were emptied: what was in them is gone. */
  forget(post: Post, turn: Turn, bands: readonly LearnedBand[]): void {
    for (const { side, chain } of bands) {
      const station = post.stations.find((one) => one.side === side)
      if (station) this.entries.delete(placeOf(station, chainAt(station, turn, chain)))
    }
  }

  /** Takes up what an earlier agent left in the chains of a workspace. */
  adopt(at: HeldWorkspace, post: Post, turn: Turn, generation: number): void {
    for (const band of at.bands) {
      const station = post.stations.find(({ side }) => side === band.side)
      if (!station) continue
      const chain = chainAt(station, turn, band.chain)
      for (const found of this.kernel.native.list({ ...station, chain })) {
        const grant = grantOf(found, band.side, at, generation)
        if (!grant) continue
        this.lastHandle = Math.max(this.lastHandle, found.handle)
        const { handle } = found
        const etherType = grant.address.includes(':') ? 'ipv6' : 'ip'
        this.entriesOf(station, chain).set(tupleOf(grant), { handle, expiresAtMs: grant.expiresAtMs, etherType })
        this.add([at], [grant])
      }
    }
  }

  private entriesOf(station: Station, chain: number): Map<string, Entry> {
    const place = placeOf(station, chain)
    const there = this.entries.get(place) ?? new Map<string, Entry>()
    this.entries.set(place, there)
    return there
  }
}

const placeOf = ({ ifindex, hook }: Station, chain: number): string => `${ifindex} ${hook} ${chain}`
const priorityOf = (etherType: 'ip' | 'ipv6'): number => PRIORITY.learned + familyOf(etherType === 'ip' ? 4 : 6).shift

/** By tuple, with the latest end of those who learnt it. A resolved name never opens a reserved address (step 6). */
function wantedIn(held: readonly LearnedGrant[], band: LearnedBand, nowMs: number): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>()
  for (const grant of held) {
    const keeps = band[grant.protocol]
    const ip = parseIp(grant.address)
    if (!ip || addressClass(ip) !== 'public' || keeps === 'none') continue
    if (keeps === 'live' && grant.expiresAtMs <= nowMs) continue
    const tuple = tupleOf(grant)
    if ((wanted.get(tuple)?.expiresAtMs ?? 0) < grant.expiresAtMs) wanted.set(tuple, { ...grant, ip })
  }
  return wanted
}

function ruleOf({ post, station, turn, band }: Where, chain: number, handle: number, grant: Wanted): Rule {
  const { etherType } = familyOf(grant.ip.family)
  const prefix = { ...grant.ip, length: familyBits(grant.ip.family) }
  const port = { value: grant.port, mask: 0xffff }
  const peer: Match =
    band.side === 'from' ? { destination: prefix, destinationPort: port } : { source: prefix, sourcePort: port }
  return {
    ifindex: station.ifindex,
    hook: station.hook,
    chain,
    priority: priorityOf(etherType),
    handle,
    match: { etherType, protocol: NUMBER[grant.protocol], ...peer },
    action: actionOf({ kind: 'out' }, station, post.ports, turn),
    place: post.ports.uplink === undefined ? 'software' : 'hardware',
    cookie: { kind: 'learned', expiresAtMs: grant.expiresAtMs, clause: clauseMark(grant.clause) },
  }
}

/** Attributes of cls_flower by side: address of either family, port of either protocol. */
const READ = {
  from: { ip: 12, ipv6: 16, tcp: 19, udp: 21 },
  to: { ip: 10, ipv6: 14, tcp: 18, udp: 20 },
} as const

function grantOf(
  found: Found,
  side: LearnedBand['side'],
  at: HeldWorkspace,
  generation: number,
): LearnedGrant | undefined {
  const { cookie, options } = found
  if (cookie?.kind !== 'learned') return undefined
  const clause = at.clauses.find((one) => clauseMark(one) === cookie.clause)
  const protocol = options.get(9)?.[0] === NUMBER.tcp ? 'tcp' : 'udp'
  const address = options.get(READ[side].ip) ?? options.get(READ[side].ipv6)
  const port = options.get(READ[side][protocol])
  if (clause === undefined || !address || !port) return undefined
  const value = address.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n)
  return {
    workspace: at.workspace,
    clause,
    name: '',
    protocol,
    address: formatIp({ family: address.length === 4 ? 4 : 6, value }),
    port: ((port[0] ?? 0) << 8) | (port[1] ?? 0),
    generation,
    expiresAtMs: cookie.expiresAtMs,
  }
}
