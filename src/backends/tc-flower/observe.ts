// What is live, asked of the kernel and compared with the record of what was put there: the switch of every station, the filters
// behind it by digest, the refusal at its end, and whatever is there and is not ours. Counts come back by grant and by reason.

import type { GrantId, WorkspaceId } from '../../plan/model.js'
import type { Flag, GrantCounter } from '../backend.js'
import { switchMark } from './cookie.js'
import type { Kernel } from './kernel.js'
import { chainAt, chainsOf, PRIO } from './place.js'
import { baseIn, flagIn, type Post, switchIn } from './post.js'
import type { HeldGeneration, HeldWorkspace } from './record.js'
import type { Found } from './rule.js'
import { digestOfFound } from './stage.js'

export interface Count {
  readonly packets: bigint
  readonly octets: bigint
}

/** Counts that outlive their filters. */
export class Counts {
  private readonly grants = new Map<WorkspaceId, Map<GrantId, Count>>()
  private readonly drops = new Map<string, bigint>()

  copy(): Counts {
    const copy = new Counts()
    for (const [workspace, grants] of this.grants) copy.grants.set(workspace, new Map(grants))
    for (const [reason, packets] of this.drops) copy.drops.set(reason, packets)
    return copy
  }

  add(at: Pick<HeldWorkspace, 'workspace' | 'grants'>, found: readonly Found[]): void {
    const grants = this.grants.get(at.workspace) ?? new Map<GrantId, Count>()
    this.grants.set(at.workspace, grants)
    for (const { cookie, packets, octets } of found) {
      if (cookie?.kind === 'drop') this.drops.set(cookie.reason, (this.drops.get(cookie.reason) ?? 0n) + packets)
      if (cookie?.kind === 'flag') {
        const reason = cookie.quarantined ? 'quarantined' : 'suspended'
        this.drops.set(reason, (this.drops.get(reason) ?? 0n) + packets)
      }
      const grant = cookie?.kind === 'grant' ? at.grants[cookie.ordinal] : undefined
      if (grant === undefined) continue
      const before = grants.get(grant) ?? { packets: 0n, octets: 0n }
      grants.set(grant, { packets: before.packets + packets, octets: before.octets + octets })
    }
  }

  counters(): GrantCounter[] {
    return [...this.grants].flatMap(([workspace, grants]) =>
      [...grants].map(([grant, { packets, octets }]) => ({ workspace, grant, packets, bytes: octets })),
    )
  }

  dropped(): Record<string, bigint> {
    return Object.fromEntries(this.drops)
  }
}

export interface Sight {
  readonly attached: boolean
  readonly drift: readonly string[]
  readonly quarantined: boolean
  readonly suspended: boolean
}

/** One workspace of the generation that should be live. `post` is undefined where its interface is gone. */
export function look(
  kernel: Kernel,
  at: HeldWorkspace,
  post: Post | undefined,
  { generation, planDigest, turn }: HeldGeneration,
  counts: Counts,
): Sight {
  const drift: string[] = []
  const flags = { quarantined: false, suspended: false }
  if (!post)
    return {
      attached: false,
      drift: [`the interface ${at.interface} of ${at.workspace}, or the uplink, is gone`],
      ...flags,
    }
  let attached = true
  for (const [i, station] of post.stations.entries()) {
    const where = `${at.interface} ${station.side}`
    const found = kernel.native.list(station)
    const mine = found.filter(({ chain }) => chain === 0 || chainsOf(station, turn).includes(chain))
    const turned = switchIn(station, found)
    const cookie = turned?.cookie
    const leads =
      cookie?.kind === 'switch' && cookie.generation === generation && cookie.digest === switchMark(planDigest)
    if (!leads || !turned?.substance.includes(`does=${gotoText(chainAt(station, turn, 1))}`)) {
      attached = false
      drift.push(
        `${where}: generation ${cookie?.kind === 'switch' ? cookie.generation : 'none'} is switched on, not ${generation}`,
      )
    }
    if (!baseIn(station, found)) drift.push(`${where}: the refusal at its end is gone`)
    const loaded = mine.filter(({ chain }) => chain !== 0)
    if (digestOfFound(loaded) !== at.digests[i]) drift.push(`${where}: the filters are not those that were put there`)
    const own = station.ifindex === post.ports.slot
    for (const { chain, priority, cookie: whose } of found)
      if (own && chain === 0 && whose === undefined && priority < PRIO.last)
        drift.push(`${where}: a filter of somebody else decides at priority ${priority}`)
    const flag = flagIn(station, found)
    if (flag?.cookie?.kind === 'flag') {
      flags.quarantined ||= flag.cookie.quarantined
      flags.suspended ||= flag.cookie.suspended
    }
    counts.add(at, [...loaded, ...[flag, baseIn(station, found)].flatMap((one) => one ?? [])])
  }
  return { attached, drift, ...flags }
}

/** The parameters of a goto as `Found.substance` shows them. */
const gotoText = (chain: number): string => {
  const word = (0x20000000 | chain) >>> 0
  return [word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24]
    .map((one) => one.toString(16).padStart(2, '0'))
    .join('')
}

/** Every workspace of the generation that should be live, and the flags that are on record beside what the kernel has. */
export function lookAtAll(
  kernel: Kernel,
  live: HeldGeneration | null,
  postOf: (at: HeldWorkspace) => Post | undefined,
  flags: Readonly<Record<Flag, ReadonlySet<WorkspaceId>>>,
  kept: Counts,
): {
  readonly workspaces: WorkspaceId[]
  readonly drift: string[]
  readonly quarantined: WorkspaceId[]
  readonly suspended: WorkspaceId[]
  readonly counts: Counts
} {
  const counts = kept.copy()
  const seen = { workspaces: [] as WorkspaceId[], drift: [] as string[], counts }
  const flagged: Record<Flag, WorkspaceId[]> = { quarantined: [], suspended: [] }
  for (const at of live?.workspaces ?? []) {
    const sight = look(kernel, at, postOf(at), live as HeldGeneration, counts)
    seen.drift.push(...sight.drift)
    if (sight.attached) seen.workspaces.push(at.workspace)
    for (const flag of FLAGS) {
      if (sight[flag]) flagged[flag].push(at.workspace)
      if (sight[flag] !== flags[flag].has(at.workspace))
        seen.drift.push(`${at.interface}: ${flag} is ${sight[flag] ? 'set' : 'not set'} in the kernel`)
    }
  }
  // What waits for a workspace that is not here is on record alone.
  for (const flag of FLAGS)
    for (const workspace of flags[flag])
      if (!live?.workspaces.some((at) => at.workspace === workspace)) flagged[flag].push(workspace)
  return { ...seen, quarantined: flagged.quarantined.sort(), suspended: flagged.suspended.sort() }
}

const FLAGS = ['quarantined', 'suspended'] as const satisfies readonly Flag[]
