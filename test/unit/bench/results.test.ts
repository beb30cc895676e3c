// The file that a run leaves behind: its schema is what the code carries, a whole one is read, and what is no results is refused
// with the place.

import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { readResults } from '../../../src/bench/read.js'
import { RESULTS_FORMAT } from '../../../src/bench/results.js'
import { RESULTS_SCHEMA } from '../../../src/bench/schema/gen/results.js'

const sample = readFileSync(new URL('../../support/bench/sample.json', import.meta.url), 'utf8')
const schema: unknown = JSON.parse(
  readFileSync(new URL('../../../src/bench/schema/results.schema.json', import.meta.url), 'utf8'),
)
// biome-ignore lint/suspicious/noExplicitAny: the case breaks the value on purpose.
const changed = (change: (value: any) => void): string => {
  const value = JSON.parse(sample)
  change(value)
  return JSON.stringify(value)
}
const refused = (text: string): string => {
  try {
    readResults(text, 'A.json')
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`
  }
  return 'taken'
}

describe('results.schema.json', () => {
  it('is what the code carries; otherwise run `node scripts/schema.mjs`', () => {
    expect(RESULTS_SCHEMA).toEqual(schema)
  })

  it('is a valid schema without keywords that ajv would ignore', () => {
    expect(() => new Ajv({ strict: true, allowUnionTypes: true }).compile(RESULTS_SCHEMA)).not.toThrow()
  })
})

describe('readResults', () => {
  it('reads what a run wrote', () => {
    const results = readResults(sample, 'A.json')
    expect(results.format).toBe(RESULTS_FORMAT)
    expect(results.measurements.length).toBeGreaterThan(3)
  })

  it('reads what an earlier build wrote, which had everything in the figure, and rows as texts only', () => {
    const rows = (value: unknown) =>
      changed(({ benches, promises }) => {
        for (const one of [benches[0], promises[3]]) Object.assign(one, { rows: value })
      })
    expect(readResults(sample, 'A.json').benches[0]).not.toHaveProperty('rows')
    expect(readResults(rows(['a: 1']), 'A.json').promises[3]?.rows).toEqual(['a: 1'])
    expect(refused(rows([1]))).toContain('("/benches/0/rows/0"): must be string')
  })

  it.each([
    ['no JSON', '{', 'BENCH_RESULTS: A.json holds no results of a bench: '],
    ['a key twice', '{"format": 1, "format": 1}', 'BENCH_RESULTS: A.json holds no results of a bench'],
    ['something else', '{}', "must have required property 'format'"],
    [
      'another format',
      changed((value) => Object.assign(value, { format: 'v9' })),
      '("/format"): must be equal to constant',
    ],
    [
      'a number that is text',
      changed((value) => Object.assign(value.machine, { cpus: '2' })),
      '("/machine/cpus"): must be integer',
    ],
    [
      'a key that no release writes',
      changed((value) => Object.assign(value.measurements[0].cells[0], { extra: 1 })),
      'must NOT have additional properties',
    ],
  ])('refuses %s', (_name, text, says) => {
    expect(refused(text)).toContain(says)
  })
})
