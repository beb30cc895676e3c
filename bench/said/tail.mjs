// The slow end of measurements, by the name that it deserves: p99 (nearest rank: one of a hundred was slower) of a hundred and more. Of
// fewer the 99th of a hundred is the slowest itself, and is called so. Takes them in any order, at least one.

const LEAST = 100

export function tail(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const { length } = sorted
  return length < LEAST
    ? { name: `longest (of ${length})`, value: sorted[length - 1] }
    : { name: 'p99', value: sorted[Math.ceil(length * 0.99) - 1] }
}
