// The order of visits, the time that a run may take, and what every variant is made to mean.

import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { formatIp, parseIp } from '../../../src/base/ip.js'
import { BUDGET_MS, FULL_FILES, fitting, millisecondsOf, QUICK_FILES } from '../../../src/bench/budget.js'
import { LEAST_REPETITIONS } from '../../../src/bench/figure.js'
import { room as roomHere } from '../../../src/bench/machine.js'
import { FULL, type Probe, QUICK, type Scene, SHAPES, SUSTAINED_MS, sayOf, titleOf } from '../../../src/bench/matrix.js'
import { furtherThatFit, guess, orderOf, roundsThatFit, withMoreRounds } from '../../../src/bench/schedule.js'
import { allowedBy, beyond, digestOf, share, sliceOf, slotOf } from '../../../src/bench/setting.js'
import { asking, MOST_STANDING, roomFor } from '../../../src/bench/standing.js'
import { variantsOf } from '../../../src/bench/variants/all.js'
import { choose } from '../../../src/bin/bench.js'

describe('orderOf', () => {
  const names = ['a', 'b', 'c', 'd']

  it('visits each variant once a round, in the same order for the same seed', () => {
    for (let round = 0; round < 20; round++) {
      const order = orderOf(names, 1, 0, round)
      expect([...order].sort()).toEqual(names)
      expect(orderOf(names, 1, 0, round)).toEqual(order)
    }
  })

  it('puts no variant always in the same place', () => {
    const first = Array.from({ length: 200 }, (_, round) => orderOf(names, 3, 1, round)[0])
    for (const name of names) expect(first.filter((one) => one === name).length).toBeGreaterThan(25)
  })
})

describe('the time of a run', () => {
  const REAL = ['none', 'empty', 'empty-chains', 'hand', 'ipset', 'nftables', 'ebpf']
  /** A quick run leaves out software in the place of a card, and one of the two that are written by hand. */
  const QUICKLY = REAL.filter((name) => name !== 'ipset')
  const total = (scenes: typeof QUICK, real: readonly string[], emulated: number): number =>
    scenes.reduce((sum, one) => {
      const visited = real.filter((name) => one.only?.includes(name) ?? true).length
      const apart = one.real ? 0 : emulated * Math.min(one.rounds, LEAST_REPETITIONS)
      return sum + guess(one, visited) * one.rounds + guess(one, 1) * apart
    }, 0)

  it('is enough for everything that quick and full ask, the files of bench/ included, and a twentieth more', () => {
    // Quick runs take 112 to 119 s of the 124 that are guessed.
    expect(total(QUICK, QUICKLY, 0)).toBeLessThan(BUDGET_MS.quick - millisecondsOf(QUICK_FILES))
    expect(1.05 * total(FULL, REAL, 1)).toBeLessThan(BUDGET_MS.full - millisecondsOf(FULL_FILES))
  })

  it('is spent on connections that stand, and on a load that is sustained, before what scales', () => {
    const at = (asks: (probe: Probe) => boolean): number => FULL.findIndex(({ probes }) => probes.some(asks))
    expect(at(({ question }) => question === 'flows')).toBe(2)
    expect(at(({ ms, question }) => question === 'tcp-stream' && ms >= SUSTAINED_MS)).toBe(3)
    const known = variantsOf('', () => 0).map(({ name }) => name)
    for (const { only = [] } of FULL) for (const name of only) expect(known).toContain(name)
  })

  it('is told by scenes that no two of a run have in common', () => {
    for (const scenes of [QUICK, FULL]) expect(new Set(scenes.map(titleOf)).size).toBe(scenes.length)
    expect(titleOf(FULL[2] as Scene)).toBe(
      '10 grants: connections that stand at the same time, of 255,904 asked for, IPv4',
    )
  })

  it('is kept for files that are there, once each', () => {
    for (const files of [QUICK_FILES, FULL_FILES]) {
      const names = files.map(({ name }) => name)
      expect(new Set(names).size).toBe(names.length)
      for (const name of names)
        expect([name, existsSync(new URL(`../../../bench/${name}.mjs`, import.meta.url))]).toEqual([name, true])
    }
    expect(QUICK_FILES.filter(({ name }) => !FULL_FILES.some((one) => one.name === name))).toEqual([])
  })

  it('is kept for no file that will find none', () => {
    const kept = (seconds: readonly number[], budgetMs: number): number[] =>
      fitting(
        seconds.map((one) => ({ name: 'file', seconds: one })),
        budgetMs,
      ).map((file) => file.seconds)
    expect(kept([220], 180_000)).toEqual([])
    expect(kept([220, 26, 3], 180_000)).toEqual([26, 3])
    expect(kept([100, 100, 80], 180_000)).toEqual([100, 80])
    for (const [files, budgetMs] of [
      [QUICK_FILES, BUDGET_MS.quick],
      [FULL_FILES, BUDGET_MS.full],
    ] as const)
      expect(fitting(files, budgetMs)).toEqual(files)
  })

  it('is never spent on fewer rounds than a figure needs', () => {
    for (const { rounds } of [...QUICK, ...FULL]) expect(rounds).toBeGreaterThanOrEqual(LEAST_REPETITIONS)
  })

  it('is spent on nine rounds of what is named alone, and of five where nine of all would not fit', () => {
    const rounds = (only: readonly string[], quick = false): number[] => [
      ...new Set(choose({ only, quick }).scenes.map((scene) => scene.rounds)),
    ]
    expect(rounds(['ebpf'])).toEqual([9])
    expect(rounds(['ebpf', 'tcp-crr'])).toEqual([9])
    expect(rounds(['packets'])).toEqual([9])
    expect(rounds(['ebpf', 'packets'], true)).toEqual([9])
    // What the files that are named beside it take is theirs.
    const files = FULL_FILES.map(({ name }) => name).filter((name) => name !== 'nftables')
    expect(rounds(['hand', 'ebpf', ...files])).toEqual([5, 9])
    expect(rounds(['hand', 'ebpf'])).toEqual([9])
    expect(rounds(['hand', 'ipset', 'nftables', 'ebpf', 'tc-flower'])).toEqual([5, 9])
    for (const quick of [true, false])
      expect(choose({ only: [], quick }).scenes.map((scene) => scene.rounds)).toEqual(
        (quick ? QUICK : FULL).map((scene) => scene.rounds),
      )
  })

  it('is guessed of what is emulated for five rounds, and where it is visited', () => {
    const scene: Scene = { grants: 10, workspaces: 1, rounds: 5, probes: [] }
    const [real, emulated] = [
      { name: 'one', emulated: false },
      { name: 'card', emulated: true },
    ]
    const rounds = (budgetMs: number, more: Partial<Scene> = {}): number | undefined =>
      withMoreRounds([{ ...scene, ...more }], [real, emulated], budgetMs)[0]?.rounds
    const visitMs = 1.05 * guess(scene, 1)
    expect([13.9, 14.1].map((visits) => rounds(visits * visitMs))).toEqual([5, 9])
    expect([8.9, 9.1].map((visits) => rounds(visits * visitMs, { real: true }))).toEqual([5, 9])
    expect([4.9, 5.1].map((visits) => rounds(visits * visitMs, { only: ['card'] }))).toEqual([5, 9])
  })

  it('is filled with all rounds of a scene, with five, or no more', () => {
    expect(roundsThatFit(9, 1, 1_000, 60_000)).toBe(9)
    for (const leftMs of [4_500, 5_500, 6_500, 7_500]) expect(roundsThatFit(9, 1, 1_000, leftMs)).toBe(5)
    expect(roundsThatFit(9, 1, 1_000, 8_500)).toBe(9)
    expect(roundsThatFit(9, 1, 1_000, 3_500)).toBe(1)
    expect(roundsThatFit(9, 5, 1_000, 3_500)).toBe(5)
    // Begun with time for all of them: it is not stopped at seven because the sixth took long.
    expect(roundsThatFit(9, 6, 1_000, 2_500)).toBe(9)
    expect(roundsThatFit(9, 9, 1_000, 0)).toBe(9)
  })

  it('is spent at its end on as many further rounds as fit with a twentieth to spare', () => {
    expect([10_499, 10_501, 21_001, -1].map((leftMs) => furtherThatFit(10_000, leftMs))).toEqual([0, 1, 2, 0])
    expect(FULL.filter(({ further }) => further).map(({ grants, rounds }) => [grants, rounds])).toEqual([[100_000, 9]])
    expect(QUICK.some(({ further }) => further)).toBe(false)
  })

  it('is spent on measurements whose names are their own', () => {
    for (const scenes of [QUICK, FULL])
      for (const { probes } of scenes) {
        const ids = probes.map(({ question, flows, family }) => `${question} ${flows} ${family}`)
        expect(new Set(ids).size).toBe(ids.length)
        for (const { question, flows, family } of probes) {
          expect(SHAPES[question].unit).not.toBe('')
          expect(sayOf(question, flows, family)).toMatch(/IPv[46]$/)
        }
      }
  })
})

describe('connections that stand', () => {
  const GIB = 2 ** 30
  const room = { memoryBytes: 64 * GIB, descriptors: 1 << 20 }

  it('are as many as ports, memory and descriptors have room for', () => {
    expect(roomFor(room)).toEqual({ by: 'ports', flows: MOST_STANDING })
    expect(roomFor({ ...room, memoryBytes: 3 * GIB })).toEqual({ by: 'memory', flows: 65_536 })
    expect(roomFor({ ...room, descriptors: 20_000 })).toEqual({ by: 'descriptors', flows: 8 * 19_744 })
    // More than the table of a fence holds, so that its quota is seen.
    expect(MOST_STANDING).toBeGreaterThan(65_536)
  })

  it('are the same number where free memory is not the same twice', () => {
    const asked = [5, 5.5, 6, 7.9].map((gib) => roomFor({ ...room, memoryBytes: gib * GIB }).flows)
    expect(new Set(asked).size).toBe(1)
  })

  it('are asked for by the scene that has them alone, and the results say why so many', () => {
    const { scenes, remarks } = asking(FULL, { memoryBytes: 3 * GIB, descriptors: 20_000 })
    expect(scenes[2]?.probes).toMatchObject([{ question: 'flows', flows: 65_536 }])
    expect(scenes.filter((_, at) => at !== 2)).toEqual(FULL.filter((_, at) => at !== 2))
    expect(remarks).toEqual([
      '65,536 connections were asked to stand: memory had room for no more, with 3,072 MiB free and 20,000 descriptors a process',
    ])
    expect(asking(QUICK, room)).toEqual({ scenes: QUICK, remarks: [] })
  })

  it('find the room that this machine says it has', () => {
    const { memoryBytes, descriptors } = roomHere()
    expect(memoryBytes).toBeGreaterThan(0)
    expect(descriptors).toBeGreaterThan(0)
  })
})

describe('a setting', () => {
  it('has as many grants as it says, half of each family, and the endpoints of the server', () => {
    const of = (grants: number) => allowedBy({ grants, workspaces: 1 })
    const endpoints = of(0).length - 2
    for (const grants of [2, 11, 1_000]) {
      expect(of(grants)).toHaveLength(endpoints + grants)
      expect(of(grants).filter(({ family, port }) => family === 'ipv4' && port === 443)).toHaveLength(
        share('ipv4', grants),
      )
    }
  })

  it('names every address once, and canonically', () => {
    for (const family of ['ipv4', 'ipv6'] as const)
      for (const n of [0, 1, 255, 256, 65_535, 65_536, 65_537, 131_072, 499_999]) {
        const text = beyond(family, n)
        const parsed = parseIp(text)
        expect(parsed && formatIp(parsed)).toBe(text)
      }
    const all = allowedBy({ grants: 200_000, workspaces: 1 }).map(
      ({ address, protocol, port }) => `${address} ${protocol} ${port}`,
    )
    expect(new Set(all).size).toBe(all.length)
  })

  it('gives each workspace a slot of its own', () => {
    const slots = Array.from({ length: 300 }, (_, n) => slotOf(n))
    for (const of of [(slot: (typeof slots)[0]) => slot.mac, (slot: (typeof slots)[0]) => slot.addresses.join()])
      expect(new Set(slots.map(of)).size).toBe(300)
    for (const { mac, gateway } of slots)
      for (const one of [mac, gateway.mac]) expect(one).toMatch(/^02(:[0-9a-f]{2}){5}$/)
  })

  it('is the same slice for the same setting, and has a digest', () => {
    const slice = sliceOf({ grants: 10, workspaces: 2 }, 'ebpf', 1, 1_000)
    expect(slice).toEqual(sliceOf({ grants: 10, workspaces: 2 }, 'ebpf', 1, 1_000))
    expect(slice.workspaces.map(({ network }) => network.egress.length)).toEqual([40, 40])
    const digests = [0, 10, 1_000].map((grants) => digestOf({ grants, workspaces: 1 }))
    expect(new Set(digests).size).toBe(3)
    for (const digest of digests) expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
  })
})
