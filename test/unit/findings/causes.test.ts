// One cause, one finding: created once, updated once a cool-down while it goes on, over when it is quiet; and memory that stays
// bounded whatever is asked.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Detection } from '../../../src/findings/detect.js'
import { FINDING_TERMS } from '../../../src/findings/terms.js'
import { Kept, Recent, SlidingCount } from '../../../src/findings/window.js'
import { NOW } from '../../support/facts.js'
import { at, denied, rolledBack } from '../../support/findings/sights.js'

const NODE = 'spiffe://acme.example/node/7'
const { cooldownMs } = FINDING_TERMS
const burst = (atMs: number, count = 500) => denied(atMs, '45.76.1.1', 443, { count })

it('a burst of an hour is one finding and an update each cool-down, with the count of all of it', () => {
  const detection = new Detection(NODE, FINDING_TERMS)
  const told = []
  for (let s = 0; s < 3_600; s++) {
    told.push(...detection.see(burst(NOW + s * 1_000, 500)))
    told.push(...detection.due(NOW + s * 1_000))
  }
  expect(told.map(({ news, count }) => [news, count])).toEqual([
    ['created', 500],
    ['updated', 500 * 901],
    ['updated', 500 * 1_801],
    ['updated', 500 * 2_701],
  ])
  expect(new Set(told.map(({ uid }) => uid)).size).toBe(1)
  expect(told[0]?.uid).toMatch(/^fnd-[0-9a-f]{32}$/)
})

it('one that is over is one event, and its next time has another uid', () => {
  const detection = new Detection(NODE, FINDING_TERMS)
  const [first] = detection.see(burst(NOW))
  expect(detection.open()).toMatchObject([{ finding: 'denial-burst', uid: first?.uid, count: 500 }])
  expect(detection.due(NOW + cooldownMs - 1)).toEqual([])
  expect(detection.due(NOW + cooldownMs)).toEqual([])
  expect(detection.open()).toEqual([])
  const [second] = detection.see(burst(NOW + cooldownMs + 1, 5_000))
  expect(second?.news).toBe('created')
  expect(second?.uid).not.toBe(first?.uid)
})

it('what stays below the limit during a cool-down is counted and makes no update', () => {
  const detection = new Detection(NODE, FINDING_TERMS)
  detection.see(burst(NOW))
  detection.see(denied(NOW + 300_000, '45.76.1.1', 443, { count: 3 }))
  expect(detection.open()[0]?.count).toBe(503)
  expect(detection.due(NOW + cooldownMs)).toEqual([])
})

it('causes are told apart: workspaces, codes, nodes', () => {
  const detection = new Detection(NODE, FINDING_TERMS)
  const two = ['a', 'b'].flatMap((id) => detection.see({ ...burst(NOW), workspace: at(id) }))
  const codes = ['BUNDLE_REPLAYED', 'BUNDLE_REPLAYED', 'BUNDLE_SUPERSEDED'].flatMap((code) =>
    detection.see(rolledBack(NOW, code)),
  )
  expect([two.length, codes.length]).toEqual([2, 2])
  const elsewhere = new Detection('spiffe://acme.example/node/8', FINDING_TERMS).see({
    ...burst(NOW),
    workspace: at('a'),
  })
  expect(elsewhere[0]?.uid).not.toBe(two[0]?.uid)
})

it('the same sights give the same findings', () => {
  const sight = fc.record({
    s: fc.nat(7_200),
    workspace: fc.constantFrom('a', 'b', 'c'),
    port: fc.nat(60),
    count: fc.nat(150),
  })
  fc.assert(
    fc.property(fc.array(sight, { maxLength: 200 }), (list) => {
      const run = () => {
        const detection = new Detection(NODE, FINDING_TERMS)
        return list.flatMap(({ s, workspace, port, count }) => [
          ...detection.see(denied(NOW + s * 1_000, '45.76.1.1', port, { workspace: at(workspace), count })),
          ...detection.due(NOW + s * 1_000),
        ])
      }
      expect(run()).toEqual(run())
    }),
    { numRuns: 50 },
  )
})

it('a window counts what lies in it, to a twelfth', () => {
  const times = fc.array(fc.tuple(fc.nat(5_000), fc.nat(9)), { maxLength: 60 })
  fc.assert(
    fc.property(times, (list) => {
      const window = new SlidingCount(1_200)
      const sorted = [...list].sort(([a], [b]) => a - b)
      for (const [atMs, count] of sorted) window.add(atMs, count)
      const end = sorted.at(-1)?.[0] ?? 0
      const between = (ms: number) => sorted.reduce((sum, [atMs, count]) => sum + (atMs > end - ms ? count : 0), 0)
      const total = window.total(end)
      expect(total).toBeGreaterThanOrEqual(between(1_100))
      expect(total).toBeLessThanOrEqual(between(1_200))
    }),
  )
  const late = new SlidingCount(1_200)
  late.add(10_000, 1)
  late.add(1, 1)
  expect(late.total(10_000)).toBe(2)
})

it('memory is bounded', () => {
  const recent = new Recent(1_000, 10)
  for (let i = 0; i < 1_000; i++) recent.add(String(i), 5)
  expect([recent.size(5), recent.words().at(-1)]).toEqual([10, '999'])
  expect(recent.size(2_000)).toBe(0)
  const kept = new Kept(3, () => [] as number[])
  for (const key of ['a', 'b', 'a', 'c', 'd']) kept.get(key).push(1)
  expect([kept.size, kept.get('a').length, kept.get('b').length]).toEqual([3, 2, 0])
  const detection = new Detection(NODE, FINDING_TERMS)
  for (let i = 0; i < 5_000; i++) detection.see({ ...burst(NOW + i), workspace: at(`w${i}`) })
  expect(detection.open().length).toBe(4_096)
})
