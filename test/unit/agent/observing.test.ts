// What is told of observing: at an activation, at its end, and to the mediator.

import { describe, expect, it } from 'vitest'
import { observeChanges, observedUntil, observeEnds, withoutEnded } from '../../../src/agent/observing.js'
import type { Activation } from '../../../src/agent/record.js'
import { digestOfText } from '../../../src/base/digest.js'
import { egress, observe, planOf, SOURCE, WS } from '../../support/plans.js'

const WEB = egress('web', ['93.184.216.34'], 'tcp', ['443'])
const PLAIN = planOf([WEB])
const FIRST = planOf([WEB, observe(2_000)])
const SECOND = planOf([WEB, observe(3_000)])
const LIVE: Activation = {
  generation: 7,
  planDigest: digestOfText('plan'),
  source: SOURCE,
  backends: ['memory'],
  decidedAtMs: 1_000,
}
const changes = (before: typeof PLAIN | undefined, after: typeof PLAIN, nowMs = 1_000) =>
  observeChanges(before, after, LIVE, nowMs).map(({ kind, reason, untilMs }) => `${kind} ${reason} ${untilMs}`)

describe('what an activation tells', () => {
  it('is that observing begins, ends, or begins under another end', () => {
    expect(changes(undefined, FIRST)).toEqual(['observe-begun activated 2000'])
    expect(changes(PLAIN, FIRST)).toEqual(['observe-begun activated 2000'])
    expect(changes(FIRST, PLAIN)).toEqual(['observe-ended replaced 2000'])
    expect(changes(FIRST, SECOND)).toEqual(['observe-ended replaced 2000', 'observe-begun activated 3000'])
  })

  it('is nothing where it goes on, and where its time is over', () => {
    expect(changes(FIRST, planOf([observe(2_000)]))).toEqual([])
    expect(changes(PLAIN, FIRST, 2_000)).toEqual([])
    expect(changes(FIRST, PLAIN, 2_000)).toEqual([])
  })
})

describe('the end', () => {
  it('is told once, by whoever looks over it', () => {
    const told = (sinceMs: number, nowMs: number) =>
      observeEnds(FIRST, LIVE, sinceMs, nowMs).map(({ reason }) => reason)
    expect([told(1_000, 1_999), told(1_999, 2_000), told(2_000, 9_000)]).toEqual([[], ['time'], []])
  })

  it('takes the names away from the mediator, and leaves the rest of the plan alone', () => {
    expect(withoutEnded(FIRST, 1_999)).toBe(FIRST)
    expect(withoutEnded(FIRST, 2_000).workspaces).toEqual(PLAIN.workspaces)
    expect([...observedUntil(FIRST, 1_999)]).toEqual([[WS, 2_000]])
    expect([...observedUntil(FIRST, 2_000)]).toEqual([])
  })
})
