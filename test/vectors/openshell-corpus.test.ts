// Every file of the OpenShell corpus gets the verdict, the codes and the warnings of expectations.tsv, in both profiles.

import { describe, expect, it } from 'vitest'
import { POLICY_CODES } from '../../src/policy/codes.js'
import { PROFILES } from '../../src/policy/model.js'
import { parseSandboxPolicy } from '../../src/policy/sandbox-policy/parse.js'
import { codesOf, corpusBytes, corpusRows, wrapped } from './openshell-corpus.js'

const folder = process.env.SLUICE_POLICIES

const YAML_CODES = ['yaml-syntax', 'duplicate-key', 'empty-document', 'not-utf8']
const refusedByParser = (codes: readonly string[]): boolean =>
  codes.some((code) => YAML_CODES.includes(code) || POLICY_CODES[code as keyof typeof POLICY_CODES]?.stage === 'parse')

describe.skipIf(folder === undefined)('OpenShell corpus (skipped unless SLUICE_POLICIES names the folder)', () => {
  const rows = folder === undefined ? [] : corpusRows(folder)

  it('holds the files that its README counts', () => {
    expect(rows.length).toBe(199)
    expect(new Set(rows.map((row) => row.file)).size).toBe(198)
  })

  for (const row of rows.filter((row) => row.wrap !== 'template'))
    for (const profile of PROFILES)
      it(`${row.file} ${row.role} ${profile}`, () => {
        const bytes = corpusBytes(folder ?? '', row)
        const { policy, notes } = parseSandboxPolicy(wrapped(bytes, row.wrap), row.file, { profile, role: row.role })
        const strict = profile === 'strict'
        expect({
          verdict: policy ? 'accept' : 'reject',
          errors: codesOf(notes, 'error'),
          warnings: codesOf(notes, 'warning'),
        }).toEqual({
          verdict: strict ? row.strict : row.compat,
          errors: [...row.refused, ...(strict ? row.legacy : [])].sort(),
          warnings: [...row.warnings, ...(strict ? [] : row.legacy)].sort(),
        })
        // What the canonical parser alone refuses is the parse stage of our codes.
        const codes = notes.filter((note) => note.severity !== 'info').map((note) => note.code)
        expect(refusedByParser(codes) ? 'reject' : 'accept').toBe(row.parse)
      })

  for (const row of rows.filter((row) => !['none', 'profile', 'template'].includes(row.wrap)))
    it(`${row.file} is refused as it stands`, () => {
      for (const profile of PROFILES) {
        const { policy, notes } = parseSandboxPolicy(corpusBytes(folder ?? '', row), row.file, {
          profile,
          role: row.role,
        })
        expect(policy).toBeUndefined()
        expect(codesOf(notes, 'error').some((code) => code === 'missing-version' || code === 'unknown-key')).toBe(true)
      }
    })
})
