// The short run: every target on its seeds, on the corpus that the long runs left, on every input that ever broke a rule, and
// on some thousand mutations. Guided runs are `node scripts/fuzz.mjs` (README.md beside this file has the figures).

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { chance, fuzz, mutate, type Target } from './engine.js'
import { TARGETS } from './targets.js'

const folder = new URL('.', import.meta.url).pathname
const SHORT_RUNS = 1_000

function corpusOf(name: string): readonly Uint8Array[] {
  const file = join(folder, 'corpus', `${name}.txt`)
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => new Uint8Array(Buffer.from(line, 'base64url')))
}

describe('no rule breaks', () => {
  for (const target of TARGETS)
    it(`${target.name}: corpus and ${SHORT_RUNS} mutations`, async () => {
      const corpus = corpusOf(target.name)
      const runs = (await target.seeds()).length + corpus.length + SHORT_RUNS
      const result = await fuzz(target, { runs, seed: 20_261_121, corpus })
      expect(result.findings.map(({ input, error }) => [Buffer.from(input).toString('base64url'), error])).toEqual([])
      expect(result.runs).toBe(runs)
    })
})

describe('what once broke a rule', () => {
  const regressions = join(folder, 'regressions')
  const names = existsSync(regressions) ? readdirSync(regressions) : []
  for (const name of names) {
    const target = TARGETS.find((one) => one.name === name)
    for (const file of readdirSync(join(regressions, name)))
      it(`${name}: ${file}`, async () => {
        await expect(
          (async () => target?.run(new Uint8Array(readFileSync(join(regressions, name, file)))))(),
        ).resolves.toBeUndefined()
        expect(target).toBeDefined()
      })
  }
  it('belongs to a target each', () => {
    expect(names.filter((name) => !TARGETS.some((target) => target.name === name))).toEqual([])
  })
})

describe('the fuzzer itself', () => {
  const counters = new Uint8Array(8)
  const step = (edge: number): void => {
    counters[edge] = (counters[edge] ?? 0) + 1
  }
  /** A fault behind four octets in a row: out of reach of chance, in reach of coverage. */
  const planted: Target = {
    name: 'planted',
    seeds: () => Promise.resolve([new Uint8Array(8)]),
    words: [],
    run: (bytes) => {
      for (const [i, wanted] of [0xba, 0xdc, 0x0f, 0xfe].entries()) {
        if (bytes[i] !== wanted) return
        step(i)
      }
      throw new Error('planted')
    },
  }
  it('finds a fault behind four octets in a row, guided by coverage', async () => {
    const { findings } = await fuzz(planted, { runs: 400_000, seed: 1, counters })
    expect(findings.map(({ error }) => String(error))).toEqual(['Error: planted'])
    expect([...(findings[0]?.input.subarray(0, 4) ?? [])]).toEqual([0xba, 0xdc, 0x0f, 0xfe])
  })
  it('does not find it without', async () => {
    const { findings } = await fuzz(planted, { runs: 400_000, seed: 1 })
    expect(findings).toEqual([])
  })
  it('does the same for the same seed, and not for another', () => {
    const mutations = (seed: number) => {
      const pick = chance(seed)
      return Array.from({ length: 20 }, () => mutate(new Uint8Array(16), pick, [], [new Uint8Array(16)]))
    }
    expect(mutations(5)).toEqual(mutations(5))
    expect(mutations(5)).not.toEqual(mutations(6))
  })
})
