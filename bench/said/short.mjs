// A figure in one short line, for tables that nobody would read otherwise: three digits, and of repeated measurements the middle beside
// the slow end, by the name that it deserves (tail.mjs). Everything else belongs into rows of their own.

import { tail } from './tail.mjs'

const NAMES = { ebpf: 'eBPF', nftables: 'nftables' }

/** A backend as people write it; at the beginning of longer names too. */
export const named = (name) => name.replace(/^(ebpf|nftables)\b/, (backend) => NAMES[backend])

export const whole = (value) => Math.round(value).toLocaleString('en')

export const digits = (value) => {
  const size = Math.abs(value)
  return size >= 99.95 ? whole(value) : value.toFixed(size >= 9.995 ? 1 : 2)
}

const middle = (values) => {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

/** `0.26 / 3.70 ms` */
const both = (values, unit) => `${digits(middle(values))} / ${digits(tail(values).value)} ${unit}`

/** What the slow ends of some lists are called together. */
export function slowName(...lists) {
  const names = new Set(lists.map((values) => (tail(values).name === 'p99' ? 'p99' : 'longest')))
  return [...names].sort().reverse().join(' or ')
}

/** `eBPF 0.26 / 3.70 ms, nftables 0.64 / 15.1 ms (p50 / p99)` of `[name, measurements]` each. */
export function ends(seen, unit) {
  const each = seen.map(([name, values]) => `${named(name)} ${both(values, unit)}`.trimStart())
  return `${each.join(', ')} (p50 / ${slowName(...seen.map(([, values]) => values))})`
}
