// The nearest right word for a misspelt one.

/** Restricted Damerau-Levenshtein distance: one edit is an insertion, a deletion, a substitution or a swap of neighbours. */
export function editDistance(a: string, b: string): number {
  let previous: number[] = []
  let current = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min((next[j - 1] ?? 0) + 1, (current[j] ?? 0) + 1, (current[j - 1] ?? 0) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (previous[j - 2] ?? 0) + 1)
      next[j] = best
    }
    previous = current
    current = next
  }
  return current[b.length] ?? 0
}

/** The closest candidate within a third of the word's length (at least one edit, at most three), else undefined. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > 64) return undefined
  const limit = Math.min(3, Math.max(1, Math.floor(word.length / 3)))
  const folded = word.toLowerCase().replaceAll('-', '_')
  let best: { candidate: string; distance: number } | undefined
  for (const candidate of candidates) {
    const distance = editDistance(folded, candidate.toLowerCase().replaceAll('-', '_'))
    if (distance <= limit && (!best || distance < best.distance)) best = { candidate, distance }
  }
  return best?.candidate
}
