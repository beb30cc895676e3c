// What a run says of a scene that its time ran out in; nothing is measured, and the clock is one of the test's own.

import { expect, it } from 'vitest'
import type { Scene } from '../../../src/bench/matrix.js'
import { type Ran, runMatrix } from '../../../src/bench/run.js'
import type { Variant } from '../../../src/bench/variants/variant.js'

const SCENE: Scene = { grants: 10, workspaces: 1, rounds: 2, probes: [] }
const PATH = { client: [], pinned: [], address: () => '', port: 0 }

/** A run of two rounds of two variants in six seconds, each visit of which takes as many milliseconds as are given. */
async function ranWith(
  visitsMs: readonly number[],
  {
    visited,
    after,
    tells = true,
  }: { visited?: (visit: number, stop: AbortController) => void; after?: number; tells?: boolean } = {},
) {
  const stop = new AbortController()
  let [nowMs, visits] = [0, 0]
  const said: string[] = []
  const variant = (name: string): Variant => ({
    name,
    say: name,
    role: 'fence',
    emulated: false,
    absent: () => Promise.resolve(undefined),
    put: () => {
      nowMs += visitsMs[visits++] ?? 0
      visited?.(visits, stop)
      return Promise.resolve({ lift: () => Promise.resolve(), ...(tells ? { stageMs: 1 } : {}) })
    },
  })
  const ran: Ran = await runMatrix(PATH, [variant('one'), variant('other')], {
    scenes: [SCENE],
    seed: 1,
    budgetMs: 6_000,
    ...(after === undefined ? {} : { after }),
    signal: stop.signal,
    raw: () => undefined,
    progress: ({ say }) => said.push(say),
    remark: () => undefined,
    refused: () => undefined,
    clock: () => nowMs,
  })
  return { visits, complete: ran.complete, why: ran.why, said: [...new Set(said)] }
}

// Before each visit the machine gets a moment to become still, and a busy one gets all of it.
const TIMEOUT_MS = 120_000

it('is complete when the last round has found its time', { timeout: TIMEOUT_MS }, async () => {
  expect(await ranWith([1_500, 1_500, 1_500, 1_500])).toMatchObject({ visits: 4, complete: true, why: undefined })
})

it('names a scene that was cut in a round that it needed', { timeout: TIMEOUT_MS }, async () => {
  const why = 'no time was left for 10 grants'
  expect(await ranWith([1_500, 1_500, 3_000])).toMatchObject({ visits: 3, complete: false, why })
})

it('says that it was interrupted, and not that time was short', { timeout: TIMEOUT_MS }, async () => {
  const visited = (visit: number, stop: AbortController): void => {
    if (visit === 3) stop.abort()
  }
  const ran = await ranWith([1_500, 1_500, 1_500], { visited })
  expect(ran).toMatchObject({ visits: 3, complete: false, why: 'it was interrupted' })
})

it('makes further rounds while the longest of them would fit, and asks for none', { timeout: TIMEOUT_MS }, async () => {
  // Of six seconds: rounds of 1.5 s, of 2.5 s, and 2 s are left.
  const ran = await ranWith([750, 750, 1_250, 1_250], { after: 9 })
  expect(ran).toMatchObject({ visits: 4, complete: true, why: undefined })
  expect(ran.said).toEqual(['10 grants, round 10 of 14', '10 grants, round 11 of 12'])
  expect(await ranWith([], { after: 9, visited: (visit, stop) => visit === 3 && stop.abort() })).toMatchObject({
    visits: 3,
    why: 'it was interrupted',
  })
})

it('makes no further round after one that told nothing', { timeout: TIMEOUT_MS }, async () => {
  expect(await ranWith([], { after: 9, tells: false })).toMatchObject({ visits: 2, complete: true })
})
