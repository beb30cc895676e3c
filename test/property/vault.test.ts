// The authorizer in C against its oracle: random tables, and paths that rules speak of, lie beside, or are no paths at all.
// VAULT_CASES sets how many decisions are compared.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { evaluateFile, FILE_DENIALS, type FileVerdict } from '../../src/plan/evaluate-file.js'
import { FILE_OPERATION_NAMES } from '../../src/plan/file-operations.js'
import type { FileAccess } from '../../src/plan/model.js'
import { NONE, STRUCTS } from '../../src/vault/layout.js'
import { lower } from '../../src/vault/lower.js'
import { WS } from '../support/plans.js'
import { type Answer, isBuilt, openLibrary } from '../support/vault/library.js'
import { clauseOf, sliceOf, volume } from '../support/vault/slices.js'

const CASES = Number(process.env.VAULT_CASES ?? 200_000)
const PER_TABLE = 400

const NAMES = ['a', 'b', 'A', 'aa', 'ab', 'a.b', '..a', '...', 'é', 'e\u0301', '-', ' ', 'x'.repeat(255)]
const segment = fc.constantFrom(...NAMES)
const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`)
const odd = fc.oneof(
  fc.constantFrom('', '/..', '/a/..', '/a/../b', '/a/', '//', '/a//b', '/.', '/a/./b', 'a', '../a', '/a\0b'),
  fc.constantFrom(`/${'y'.repeat(256)}`, `/${'a/'.repeat(2048)}a`, `/${'a/'.repeat(2046)}a`, '/\u{1f600}', '/*'),
)
const rule = fc.tuple(fc.constantFrom<FileAccess>('read-only', 'read-write', 'deny'), path)
const volumes = fc.array(fc.uniqueArray(rule, { maxLength: 12, selector: ([access, at]) => `${access} ${at}` }), {
  minLength: 1,
  maxLength: 3,
})

const codeOf = (verdict: FileVerdict): number =>
  verdict.kind === 'allow' ? 0 : 1 + FILE_DENIALS.indexOf(verdict.reason)

/** The clause of the verdict, as it stands in the table by node and right. */
function clauseIn(table: Uint8Array, { node, right }: Answer): string | undefined {
  if (node === NONE) return undefined
  const view = new DataView(table.buffer)
  const { vault_header: header, vault_volume: row, vault_node: size } = STRUCTS
  const nodes = header.size + view.getUint32(header.fields.volumes, true) * row.size
  const text = nodes + view.getUint32(header.fields.nodes, true) * size.size
  const at = nodes + node * size.size + size.fields.clause + 8 * right
  const begin = text + view.getUint32(at, true)
  return Buffer.from(table).toString('utf8', begin, begin + view.getUint32(at + 4, true))
}

describe.skipIf(!isBuilt)('the authorizer', () => {
  it(`decides as evaluateFile in ${CASES} cases`, () => {
    const library = openLibrary()
    const seen = new Map<number, number>()
    let compared = 0
    const rng = { seed: 20_261, numRuns: Math.ceil(CASES / PER_TABLE) }
    const request = fc.record({
      volume: fc.nat(3),
      operation: fc.constantFrom(...FILE_OPERATION_NAMES),
      path: fc.oneof({ weight: 9, arbitrary: path }, { weight: 1, arbitrary: odd }),
      standing: fc.oneof({ weight: 19, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3) }),
    })
    fc.assert(
      fc.property(volumes, fc.array(request, { minLength: PER_TABLE, maxLength: PER_TABLE }), (lists, requests) => {
        const exact = lists.map((rows, i) => ({
          ...volume([], { name: `v${i}` }),
          rules: rows
            .map(([access, at]) => ({ path: at, access, clauses: [clauseOf(access, at)] }))
            .sort((a, b) => (`${a.path}\0${a.access}` < `${b.path}\0${b.access}` ? -1 : 1)),
        }))
        const slice = sliceOf(exact)
        const octets = lower(slice).table
        const table = library.open(octets)
        const storage = slice.workspaces[0]?.storage
        for (const { volume: index, operation, path: at, standing } of requests) {
          const standingOf = { quarantined: (standing & 1) !== 0, suspended: (standing & 2) !== 0 }
          const expected = evaluateFile(storage, standingOf, { volume: `v${index}`, operation, path: at })
          const answer = table.decide(table.find(WS, `v${index}`), standing, operation, at)
          compared++
          seen.set(answer.verdict, (seen.get(answer.verdict) ?? 0) + 1)
          const errno = expected.kind === 'allow' ? 0 : expected.error === 'EROFS' ? 30 : 13
          if (
            answer.verdict !== codeOf(expected) ||
            answer.errno !== errno ||
            clauseIn(octets, answer) !== expected.clause
          )
            throw new Error(`${operation} ${JSON.stringify(at)}: ${JSON.stringify({ expected, answer })}`)
        }
      }),
      rng,
    )
    expect(compared).toBeGreaterThanOrEqual(CASES)
    // Every verdict was met, so none is compared in name only.
    expect([...seen.keys()].sort((a, b) => a - b)).toEqual([0, ...FILE_DENIALS.map((_, i) => i + 1)])
  }, 300_000)

  it('refuses a damaged table or decides within it', () => {
    const library = openLibrary()
    const { table } = lower(sliceOf([volume(['read-only /a', 'read-write /a/b', 'deny /a/b/c', 'read-only /d'])]))
    expect(library.accepts(table)).toBe(0)
    expect(library.accepts(table.subarray(0, 40))).toBe(-22)
    expect(library.accepts(new Uint8Array(table.length))).toBe(-71)
    let refused = 0
    fc.assert(
      fc.property(fc.nat(table.length - 1), fc.nat(255), path, (at, octet, asked) => {
        const other = table.slice()
        other[at] = octet
        const code = library.accepts(other)
        expect([0, -22, -71]).toContain(code)
        if (code !== 0) refused++
        else expect(library.open(other).decide(0, 0, 'open', asked).verdict).toBeLessThanOrEqual(FILE_DENIALS.length)
      }),
      { seed: 7, numRuns: 20_000 },
    )
    expect(refused).toBeGreaterThan(5_000)
  })
})
