// `sluice bench compare`: exit 1 where something got slower, 0 where nothing did or is only suspected, 2 where there is nothing to compare.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { Results } from '../../../src/bench/results.js'
import { composeHost, processSurface } from '../../../src/bin/host.js'
import { runCli } from '../../../src/cli/main.js'
import { drawnRun } from '../../support/bench/runs.js'

const slow = (variant: string, question: string, by: number) => (name: string, asked: string) =>
  name === variant && asked === question ? 1 - by : 1
const folder = mkdtempSync(join(tmpdir(), 'sluice-compare-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

describe('sluice bench compare', () => {
  const run = async (before: Results, after: Results, ...words: string[]): Promise<{ exit: number; text: string }> => {
    const files = [before, after].map((results, i) => {
      const path = join(folder, `${i}.json`)
      writeFileSync(path, JSON.stringify(results))
      return path
    })
    let text = ''
    const write = (more: string): void => {
      text += more
    }
    const surface = { ...processSurface(), cwd: folder, colour: false, write, writeError: write }
    const exit = await runCli(['bench', 'compare', ...files, ...words], composeHost(surface))
    return { exit, text }
  }

  it('ends with 1 and names what got slower', async () => {
    const { exit, text } = await run(drawnRun({ seed: 1 }), drawnRun({ seed: 2, rate: slow('ebpf', 'tcp-crr', 0.1) }))
    expect(text).toMatch(/^slower +-1\d\.\d % +-\d+\.\d % to -\d+\.\d % +share of nothing attached +ebpf +TCP connect/m)
    expect(text).toMatch(/^1 slower; \d+ of \d+ too noisy to tell\n/)
    expect(exit).toBe(1)
  })

  it('ends with 0 and lists what is suspected alone', async () => {
    const noisy = { rounds: 5, noise: 0.06 }
    const seeds = [1, 2, 3].map(
      (seed) => async () =>
        await run(
          drawnRun({ ...noisy, seed }),
          drawnRun({ ...noisy, seed: seed + 5_000, rate: slow('ebpf', 'tcp-crr', 0.1) }),
        ),
    )
    let listed = 0
    for (const one of seeds) {
      const { exit, text } = await one()
      if (!text.includes(' suspected of being slower')) continue
      listed++
      expect(text).toMatch(/^suspected slower +-\d+\.\d % .* ebpf +TCP connect/m)
      expect(text).toMatch(/^note: \d of 8 suspected of being slower: /m)
      expect(exit).toBe(0)
    }
    expect(listed).toBeGreaterThan(0)
  })

  it('ends with 1 and says why something is gone', async () => {
    const after = drawnRun({ seed: 2 })
    const [one, ...rest] = after.measurements
    const cells = one?.cells.filter(({ variant }) => variant !== 'ebpf') ?? []
    const measurements = one ? [{ ...one, cells }, ...rest] : []
    const { exit, text } = await run(drawnRun({ seed: 1 }), { ...after, measurements })
    expect(text).toMatch(/^slower +gone +- +value +ebpf +TCP stream.*: it is not in the second run$/m)
    expect(exit).toBe(1)
  })

  it('ends with 2 where there was next to nothing to compare, also as JSON', async () => {
    const after = drawnRun({ seed: 2 })
    const measurements = after.measurements.map((one) => ({ ...one, id: `${one.id} ms=600 by=sluice-load` }))
    const why = 'of 4 and 4 measurements of traffic 0 are in both'
    const { exit, text } = await run(drawnRun({ seed: 1 }), { ...after, measurements })
    expect(text).toMatch(
      /^BENCH_APART: .*0\.json and .*1\.json have too little in common to say that nothing got slower: of 4 and 4 .*\n/,
    )
    expect(text).not.toContain('too noisy')
    expect(exit).toBe(2)
    const json = await run(drawnRun({ seed: 1 }), { ...after, measurements }, '--json')
    expect(JSON.parse(json.text)).toMatchObject({
      error: { code: 'BENCH_APART', say: expect.stringContaining(why) },
    })
    expect(json.exit).toBe(2)
  })

  it('ends with 0 where nothing did', async () => {
    const { exit, text } = await run(drawnRun({ seed: 1 }), drawnRun({ seed: 2 }))
    expect(text).toMatch(
      /^nothing got slower; \d+ of \d+ too noisy to tell\n\d+ compared, ours and others; intervals agree in \d+ of 16 ratios\n/,
    )
    expect(exit).toBe(0)
  })
})
