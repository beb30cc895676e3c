// An hour of ordinary work provokes nothing, by the numbers that stand when nobody says otherwise; and the same hour with one
// attack in it provokes exactly that one.

import { expect, it } from 'vitest'
import { Detection } from '../../../src/findings/detect.js'
import type { Sight } from '../../../src/findings/sight.js'
import { FINDING_TERMS, type FindingTerms } from '../../../src/findings/terms.js'
import { NOW, WORKSPACE } from '../../support/facts.js'
import { ordinaryHour } from '../../support/findings/ordinary.js'
import { asked, called, chance, denied, letters, rolledBack } from '../../support/findings/sights.js'

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8]
const told = (sights: readonly Sight[], terms: FindingTerms = FINDING_TERMS): readonly string[] => {
  const detection = new Detection('spiffe://acme.example/node/7', terms)
  return sights.flatMap((sight) =>
    [...detection.see(sight), ...detection.due(sight.atMs)].map(({ finding, news }) => `${finding} ${news}`),
  )
}

it.each(SEEDS)('an ordinary hour: seed %i', (seed) => {
  const hour = ordinaryHour(NOW, seed)
  expect(hour.length).toBeGreaterThan(15_000)
  expect(told(hour)).toEqual([])
})

it.each([1, 2, 3])('an ordinary hour by three quarters of the limits: seed %i', (seed) => {
  const { denialBurst, dnsEntropy, lifecycleRate } = FINDING_TERMS
  const terms = {
    ...FINDING_TERMS,
    denialBurst: { ...denialBurst, packets: 150, destinations: 22 },
    dnsEntropy: { ...dnsEntropy, names: 19, bits: 6_144, missing: 37 },
    lifecycleRate: { ...lifecycleRate, calls: 90, perWorkspace: 9, refused: 15 },
  }
  expect(told(ordinaryHour(NOW, seed), terms)).toEqual([])
})

it('is no empty hour: with lower limits much of it would be told', () => {
  const { denialBurst, dnsEntropy, lifecycleRate } = FINDING_TERMS
  const half = {
    ...FINDING_TERMS,
    denialBurst: { ...denialBurst, packets: denialBurst.packets / 4, destinations: 8 },
    dnsEntropy: { ...dnsEntropy, bits: dnsEntropy.bits / 8, names: 10, missing: 5 },
    lifecycleRate: { ...lifecycleRate, calls: 40 },
  }
  const kinds = new Set(SEEDS.slice(0, 2).flatMap((seed) => told(ordinaryHour(NOW, seed), half)))
  expect([...kinds].filter((word) => word.endsWith('created')).sort()).toEqual([
    'denial-burst created',
    'dns-entropy created',
    'lifecycle-rate created',
  ])
})

const pick = chance(99)
const ATTACKS: { readonly [finding: string]: (fromMs: number) => readonly Sight[] } = {
  'denial-burst': (fromMs) => Array.from({ length: 100 }, (_, i) => denied(fromMs + i * 10, '45.70.1.1', 1 + i)),
  'dns-entropy': (fromMs) =>
    Array.from({ length: 60 }, (_, i) => asked(fromMs + i * 500, `${letters(pick, 48)}.t.exfil.example`, 'REFUSED')),
  'lifecycle-rate': (fromMs) =>
    Array.from({ length: 30 }, (_, i) =>
      called(fromMs + i * 1_000, 'spiffe://acme.example/companion/7', i % 2 ? 'attach' : 'detach', WORKSPACE.workspace),
    ),
  'rollback-attempt': (fromMs) => Array.from({ length: 5 }, (_, i) => rolledBack(fromMs + i * 1_000)),
}

it.each(Object.keys(ATTACKS))('an ordinary hour with one attack in it: %s', (finding) => {
  const attack = ATTACKS[finding]?.(NOW + 30 * 60_000) ?? []
  const hour = [...ordinaryHour(NOW, 3), ...attack].sort((a, b) => a.atMs - b.atMs)
  expect(told(hour).filter((word) => word.endsWith('created'))).toEqual([`${finding} created`])
})
