// Volumes in the maps of the guard of files: for each the tree of its rules, hung where its directory lies. Written to the side that is not
// live, like everything of a plan; where a directory lies is looked at again with every look at what is live.

import { FILE_DENIALS } from '../../plan/evaluate-file.js'
import type { VolumeSeen } from '../backend.js'
import { guardFault } from './errors.js'
import type { Guard } from './guard.js'
import { FILES_LOST_ROW, MAX_NAMES } from './layout.js'
import { meet, placeOf, samePlace, type VolumePlace } from './place.js'
import type { GuardedWorkspace } from './program.js'
import { type Tree, treeOf } from './tree.js'

/** What the record keeps of one plan: what a verdict about a node rests on, by its number, and where volumes lie. */
export interface Hung {
  readonly clauses: Tree['clauses']
  /** By workspace and name of the volume. */
  readonly places: Readonly<Record<string, VolumePlace>>
}
export const NOTHING_HUNG: Hung = { clauses: {}, places: {} }
export const placeKey = (workspace: string, volume: string): string => `${workspace} ${volume}`

/** Numbers of nodes go through a side, so that a node tells by itself whose it is. */
export class Volumes {
  private next = 1
  /** Nodes that stand for directories above volumes, by workspace, device and inode. */
  private readonly above = new Map<string, number>()
  private readonly taken: { readonly tenant: number; readonly name: string; readonly place: VolumePlace }[] = []
  private readonly clauses: Record<number, Tree['clauses'][number]> = {}
  private readonly places: Record<string, VolumePlace> = {}

  constructor(
    private readonly guard: Guard,
    private readonly side: number,
  ) {}

  /** Throws LSM_VOLUME, LSM_KERNEL. */
  hang({ workspace, volumes }: GuardedWorkspace, tenant: number): void {
    for (const [i, { name, source, rules }] of volumes.entries()) {
      const refuse = (why: string) => guardFault('LSM_VOLUME', { workspace, volume: name, source, why })
      const place = placeOf(source)
      if ('why' in place) throw refuse(place.why)
      const other = this.taken.find((one) => one.tenant === tenant && meet(one.place, place))
      if (other) throw refuse(`by another mount it meets the volume ${other.name}`)
      this.taken.push({ tenant, name, place })
      const tree = treeOf(rules, this.next)
      this.next += 1 + tree.below.length
      if (tree.tooLong[0] !== undefined)
        throw refuse(`a rule names ${JSON.stringify(tree.tooLong[0])}, which is too long`)
      if (this.next > MAX_NAMES / 2)
        throw refuse('its rules and those before it name more paths than there is room for')
      for (const { above, name: segment, number, rights, leads } of tree.below)
        this.guard.putName(this.side, above, segment, { node: number, rights, leads, volume: 0 })
      const root = { node: tree.root.number, rights: tree.root.rights, leads: tree.root.leads, volume: i + 1 }
      this.hangAt(tenant, place, root)
      this.places[placeKey(workspace, name)] = place
      Object.assign(this.clauses, tree.clauses)
    }
  }

  hung(): Hung {
    const { clauses, places } = this
    return { clauses, places }
  }

  private hangAt(tenant: number, { device, inode, above }: VolumePlace, root: NodeRow): void {
    const { guard, side } = this
    guard.putRoot(side, tenant, device, BigInt(inode), root)
    if (above) {
      const key = `${tenant} ${device} ${above.inode}`
      const node = this.above.get(key) ?? this.next++
      this.above.set(key, node)
      guard.putRoot(side, tenant, device, BigInt(above.inode), { node, rights: 0, leads: false, volume: 0 })
      guard.putName(side, node, above.name, root)
    }
    // That something hangs on the device comes last: until then nothing there is judged, and this side is not live.
    guard.putRoot(side, tenant, device, 0n, { node: 0, rights: 0, leads: false, volume: 0 })
  }
}

export interface NodeRow {
  readonly node: number
  readonly rights: number
  readonly leads: boolean
  readonly volume: number
}

/** What is wrong with where volumes lie now, a line each; none where they lie as they did. */
export function strayed({ workspace, volumes }: GuardedWorkspace, places: Hung['places']): readonly string[] {
  return volumes.flatMap(({ name, source }) => {
    const [was, is] = [places[placeKey(workspace, name)], placeOf(source)]
    if ('why' in is) return [`${workspace}: the volume ${name} at ${source}: ${is.why}`]
    return was && samePlace(was, is)
      ? []
      : [`${workspace}: the volume ${name} is not the directory ${source} that is judged`]
  })
}

/** Volumes as they lie now. */
export const seenVolumes = (
  { workspace, volumes }: GuardedWorkspace,
  places: Hung['places'],
  expired: boolean,
): readonly VolumeSeen[] =>
  volumes.map(({ name, source }) => {
    const [was, is] = [places[placeKey(workspace, name)], placeOf(source)]
    const there = was !== undefined && !('why' in is) && samePlace(was, is)
    return {
      ...{ workspace, name, mount: source },
      state: !there ? 'gone' : expired ? 'expired' : 'serving',
      mountId: 'why' in is ? 0 : is.mountId,
      lasting: 0,
      device: was ? `${was.device >>> 20}:${was.device & 0xfffff}` : '',
    }
  })

/** Rows of guard_file_counts with the names that `observe` gives them: those of refusals are numbered as they are listed, from 1. */
export const FILE_COUNTS: readonly (readonly [name: string, row: number])[] = [
  ...FILE_DENIALS.map((reason, i) => [`file-${reason}`, i + 1] as const),
  ['file-unreported', FILES_LOST_ROW],
]
