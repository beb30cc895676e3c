// The port ranges behind one prefix, for backends that look a port up in ranges that do not overlap: claims that may overlap
// become sorted segments that do not, each naming the claim that lookup.ts would have found for its ports.

export interface PortClaim<T> {
  readonly from: number
  readonly to: number
  readonly grant: T
}

/** Sorted by port, disjoint. `better`: negative when the first claim wins where both hold a port. */
export function segmentsOf<T, C extends PortClaim<T>>(
  claims: readonly C[],
  better: (a: C, b: C) => number,
): PortClaim<T>[] {
  const sorted = [...claims].sort((a, b) => a.from - b.from || a.to - b.to)
  if (sorted.every((one, i) => i === 0 || one.from > (sorted[i - 1] as C).to)) return sorted.map(plain)
  // Each port range between two boundaries belongs to the best of the claims that hold it.
  const bounds = [...new Set(sorted.flatMap((one) => [one.from, one.to + 1]))].sort((a, b) => a - b)
  const segments: PortClaim<T>[] = []
  const active: C[] = []
  let next = 0
  for (const [i, from] of bounds.entries()) {
    const end = bounds[i + 1]
    if (end === undefined) break
    while (next < sorted.length && (sorted[next] as C).from <= from) {
      const claim = sorted[next++] as C
      const at = active.findIndex((held) => better(claim, held) < 0)
      active.splice(at < 0 ? active.length : at, 0, claim)
    }
    for (let at = active.length - 1; at >= 0; at--) if ((active[at] as C).to < from) active.splice(at, 1)
    const best = active[0]
    if (!best) continue
    const last = segments.at(-1)
    if (last && last.grant === best.grant && last.to === from - 1)
      segments[segments.length - 1] = { ...last, to: end - 1 }
    else segments.push({ from, to: end - 1, grant: best.grant })
  }
  return segments
}

const plain = <T>({ from, to, grant }: PortClaim<T>): PortClaim<T> => ({ from, to, grant })
