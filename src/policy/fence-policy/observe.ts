// The section `observe` of a FencePolicy: until when what nothing grants is let through and reported, and which names are
// resolved meanwhile. How far ahead the end may lie is judged where the bundle's own time is known (plan/observe.ts).

import { parseInstant } from '../../base/instant.js'
import { quote } from '../../base/quote.js'
import type { Findings } from '../findings.js'
import type { FenceObserve } from './model.js'
import { readHosts } from './network.js'
import type { ObserveFound } from './shape.js'

export function readObserve(section: ObserveFound | undefined, findings: Findings): FenceObserve | undefined {
  const { until } = section?.of ?? {}
  if (!section || !until) return undefined
  const untilMs = parseInstant(until.value)
  if (untilMs === undefined)
    findings.note('bad-time', until.at, `${quote(until.value)} is not an RFC 3339 time such as 2026-01-02T03:04:05Z`)
  const names = readHosts(section.of.names ?? [], findings)
  return { origin: findings.origin(until.at), untilMs: untilMs ?? 0, names: [...names].sort() }
}
