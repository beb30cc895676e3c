// The port ranges behind one prefix of the fence: of the grants that hold a port, the one that plan/lookup.ts finds, with fewer
// ports, then the smaller id.

import { type PortClaim, segmentsOf as segment } from '../../plan/segments.js'

/** `grant` is the index of the grant in the program. */
export type PortSegment = PortClaim<number>
export interface PortGrant extends PortSegment {
  readonly id: string
}

const better = (a: PortGrant, b: PortGrant): number =>
  a.to - a.from - (b.to - b.from) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** Sorted by port, disjoint. */
export const segmentsOf = (grants: readonly PortGrant[]): PortSegment[] => segment(grants, better)
