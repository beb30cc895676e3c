// Plans of ten and a thousand grants, and more where it is asked for, through `tc-flower`, in software on an emulated machine: all of them read back,
// a second generation beside the first, and a quarantine that does not wait for a load. What it took is printed and labelled; it
// says something about our own costs and nothing about a speed.

import { beforeAll, describe, expect, it } from 'vitest'
import type { Observed } from '../../src/backends/backend.js'
import { lower } from '../../src/backends/tc-flower/lower.js'
import { filtersOf } from '../../src/backends/tc-flower/program.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { PlanSlice } from '../../src/plan/model.js'
import { type Answer, type Operation, playScene } from '../support/flower/scene.js'
import { egress, planOf, WS } from '../support/plans.js'

const MINUTES = 60_000
/** FLOWER_GRANTS=10000 adds the largest, which takes minutes where there is no KVM. */
const LARGEST = Number(process.env.FLOWER_GRANTS ?? 1_000)
const SIZES: readonly number[] = [...new Set([10, 1_000, LARGEST])]

function sliceOf(grants: number, generation: number): PlanSlice {
  const addresses = Array.from({ length: grants }, (_, i) => `45.${76 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`)
  const plan = planOf([egress('many', addresses, 'tcp', ['443'])])
  return { ...sliceFor(plan, 'memory', generation), workspaces: plan.workspaces }
}

function okOf<T>(answer: Answer | undefined): T {
  expect(answer?.say).toBeUndefined()
  return answer?.ok as T
}

const operations: Operation[] = [
  { op: 'open', flower: { software: true } },
  ...SIZES.flatMap((size, i): Operation[] => [
    { op: 'live', slice: sliceOf(size, 2 * i + 1) },
    { op: 'live', slice: sliceOf(size, 2 * i + 2) },
    { op: 'observe' },
  ]),
  { op: 'flagDuring', slice: sliceOf(LARGEST, 99), workspace: WS },
  { op: 'uninstall' },
]

describe('tc-flower and many grants', () => {
  let answers: readonly Answer[] = []
  beforeAll(async () => {
    answers = await playScene(operations, 12 * MINUTES)
  }, 13 * MINUTES)

  it.each(SIZES)('holds %d grants, and as many again beside them', (size) => {
    const at = 1 + 3 * SIZES.indexOf(size)
    const [first, second, seen] = answers.slice(at, at + 3)
    const [program] = lower(sliceOf(size, 1)).workspaces
    const filters = program ? filtersOf(program) : 0
    expect(filters).toBeGreaterThan(2 * size)
    const took = [first, second].map((one) => okOf<{ stageMs: number; commitMs: number }>(one))
    const said = took
      .map(({ stageMs, commitMs }) => `${stageMs.toFixed(0)} ms + ${commitMs.toFixed(1)} ms`)
      .join(', then ')
    console.log(`tc-flower: ${size} grants, ${filters} filters: staged and switched in ${said} (emulated machine)`)
    const { live, drift } = okOf<Observed>(seen)
    expect(drift).toEqual([])
    expect(live).toMatchObject({ generation: 2 * SIZES.indexOf(size) + 2, workspaces: [WS] })
  })
  it('sets a quarantine while a generation is loaded', () => {
    const flagged = answers.at(-2)
    const { loading, flagMs } = okOf<{ loading: boolean; flagMs: number }>(flagged)
    expect(loading).toBe(true)
    console.log(
      `tc-flower: a quarantine beside a load, read back and on record, took ${flagMs.toFixed(1)} ms (emulated machine)`,
    )
  })
  it('leaves nothing behind', () => {
    expect(answers.at(-1)?.ok).toEqual(['filters on ws0'])
  })
})
