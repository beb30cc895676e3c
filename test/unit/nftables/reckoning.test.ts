// What the kernel refused and nobody was told of: exact over looks, samples on their way, tables that are made anew, and reasons that
// nobody wants to hear of.

import { describe, expect, it } from 'vitest'
import type { NftObject } from '../../../src/backends/nftables/libnftables.js'
import { Reckoning } from '../../../src/backends/nftables/reckoning.js'
import { DROP_REASONS } from '../../../src/plan/state.js'

const counter = (name: string, packets: number, family = 'inet'): NftObject => ({
  counter: { family, table: 'sluice', name, packets, bytes: 0 },
})
const SETTLED = 10_000

/** One that was begun after a first look at these counters. */
const begun = (...first: NftObject[]): Reckoning => {
  const reckoning = new Reckoning(DROP_REASONS)
  reckoning.looked(first, 0)
  reckoning.begin()
  return reckoning
}

describe('refusals that nobody was told of', () => {
  it('are what was counted since somebody listens, less what was told', () => {
    const reckoning = begun(counter('c_no_grant', 70))
    reckoning.tell(25)
    reckoning.looked([counter('c_no_grant', 1_070), counter('c_spoof', 3)], 0)
    expect(reckoning.due(SETTLED)).toBe(978)
    expect(reckoning.due(SETTLED)).toBe(0)
  })

  it('are nothing before anybody looked, and nothing of what was there before', () => {
    const reckoning = new Reckoning(DROP_REASONS)
    reckoning.begin()
    expect(reckoning.due(SETTLED)).toBe(0)
    reckoning.tell(7)
    reckoning.looked([counter('c_no_grant', 1_000)], 0)
    expect(reckoning.due(SETTLED)).toBe(0)
    reckoning.looked([counter('c_no_grant', 1_010)], SETTLED)
    expect(reckoning.due(2 * SETTLED)).toBe(10)
  })

  it('are not told while samples of the look may be on their way, and never more than once', () => {
    const reckoning = begun(counter('c_no_grant', 0))
    reckoning.looked([counter('c_no_grant', 10)], 1_000)
    expect(reckoning.due(1_100)).toBe(0)
    reckoning.tell(10)
    // Two more came since the look and were told already.
    reckoning.tell(2)
    expect(reckoning.due(SETTLED)).toBe(0)
    reckoning.looked([counter('c_no_grant', 13)], SETTLED)
    expect(reckoning.due(2 * SETTLED)).toBe(1)
  })

  it('are those of each counter by itself: one that is not listed stays, one that went back was made anew', () => {
    const reckoning = begun(counter('c_no_grant', 500), counter('c_quarantined', 40, 'netdev'))
    reckoning.looked([counter('c_no_grant', 510)], 0)
    expect(reckoning.due(SETTLED)).toBe(10)
    reckoning.looked([counter('c_no_grant', 4), counter('c_quarantined', 45, 'netdev')], 0)
    expect(reckoning.due(SETTLED)).toBe(9)
    reckoning.looked(
      [counter('c_no_grant', 4), counter('c_quarantined', 45), counter('c_quarantined', 45, 'netdev')],
      0,
    )
    expect(reckoning.due(SETTLED)).toBe(45)
  })

  it('are not noise, nor frames that are no packets, nor flows that passed', () => {
    const reckoning = begun()
    reckoning.looked([counter('c_noise', 9), counter('c_link_layer', 9, 'netdev'), counter('c_observed', 9)], 0)
    expect(reckoning.due(SETTLED)).toBe(0)
  })
})
