// The port ranges behind one prefix: grants that may overlap become sorted ranges that do not, each naming the grant that
// plan/lookup.ts would have found for its ports: the one with fewer ports, then the smaller id.

export interface PortGrant {
  readonly from: number
  readonly to: number
  /** Index of the grant in the program. */
  readonly grant: number
  readonly id: string
}

export interface PortSegment {
  readonly from: number
  readonly to: number
  readonly grant: number
}

const better = (a: PortGrant, b: PortGrant): number =>
  a.to - a.from - (b.to - b.from) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** Sorted by port, disjoint. */
export function segmentsOf(grants: readonly PortGrant[]): PortSegment[] {
  const sorted = [...grants].sort((a, b) => a.from - b.from || a.to - b.to)
  if (sorted.every((one, i) => i === 0 || one.from > (sorted[i - 1] as PortGrant).to)) return sorted.map(plain)
  // Each port range between two boundaries belongs to the best of the grants that hold it.
  const bounds = [...new Set(sorted.flatMap((one) => [one.from, one.to + 1]))].sort((a, b) => a - b)
  const segments: PortSegment[] = []
  const active: PortGrant[] = []
  let next = 0
  for (const [i, from] of bounds.entries()) {
    const end = bounds[i + 1]
    if (end === undefined) break
    while (next < sorted.length && (sorted[next] as PortGrant).from <= from) {
      const grant = sorted[next++] as PortGrant
      const at = active.findIndex((held) => better(grant, held) < 0)
      active.splice(at < 0 ? active.length : at, 0, grant)
    }
    for (let at = active.length - 1; at >= 0; at--) if ((active[at] as PortGrant).to < from) active.splice(at, 1)
    const best = active[0]
    if (!best) continue
    const last = segments.at(-1)
    if (last && last.grant === best.grant && last.to === from - 1)
      segments[segments.length - 1] = { ...last, to: end - 1 }
    else segments.push({ from, to: end - 1, grant: best.grant })
  }
  return segments
}

const plain = ({ from, to, grant }: PortGrant): PortSegment => ({ from, to, grant })
