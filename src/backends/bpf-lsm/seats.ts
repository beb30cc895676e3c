// Names for what the kernel judges by number: beside the maps stands a file with the workspace and the cgroup of each tenant, since a map
// has no room for them. It is written before the switch, so for a moment, or for as long as nobody comes back after a kill, it speaks of a
// plan that is not live yet. Hence each plan on it carries the turn of the commit that makes it live, and the one before stays beside it.

import type { WorkspaceId } from '../../plan/model.js'
import type { GuardedWorkspace } from './program.js'
import type { Hung } from './volumes.js'

/** One workspace of a plan. */
export interface Seat extends GuardedWorkspace {
  /** Decimal text. */
  readonly cgroupId: string
  readonly number: number
}
export interface Seating {
  /** Of the commit that makes it live; absent where whoever wrote it did not say. */
  readonly turn?: number
  readonly seats: readonly Seat[]
  readonly hung: Pick<Hung, 'places'>
}
export interface Held extends Seating {
  /** The plan that this one is to replace, or did. */
  readonly before?: Seating
  /** Flags by workspace, also of those that have no cgroup yet. */
  readonly flags: Readonly<Record<WorkspaceId, number>>
}

/** Plans that are judged by or may be with the next switch. The first is the live one, where any on record is: its turn says so. */
export function seatingsOf({ before, turn, seats, hung }: Held, live: number): readonly [Seating, ...Seating[]] {
  const newest: Seating = { seats, hung, ...(turn === undefined ? {} : { turn }) }
  if (turn === live || !before) return [newest]
  return before.turn === live ? [before, newest] : [newest, before]
}

/** Cgroups in which a flag of the workspace counts. One that the first of them seats somebody else in is that one's. */
export function cgroupsOf(workspace: WorkspaceId, seatings: readonly Pick<Seating, 'seats'>[]): readonly bigint[] {
  const others = new Set(seatings[0]?.seats.flatMap((one) => (one.workspace === workspace ? [] : [one.cgroupId])))
  const own = seatings.flatMap(({ seats }) => seats.filter((one) => one.workspace === workspace))
  return [...new Set(own.map(({ cgroupId }) => cgroupId))].filter((id) => !others.has(id)).map(BigInt)
}
