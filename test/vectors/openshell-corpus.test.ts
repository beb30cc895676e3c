// Every file of the OpenShell corpus gets the verdict, the codes and the warnings of expectations.tsv, in both profiles.

import { describe, expect, it } from 'vitest'
import {
  codesOf,
  corpusBytes,
  corpusRows,
  expected,
  found,
  refusedUnwrapped,
  wrapped,
} from '../../scripts/corpus-rows.mjs'
import { POLICY_CODES, type PolicyCode } from '../../src/policy/codes.js'
import { PROFILES } from '../../src/policy/model.js'
import { parseSandboxPolicy } from '../../src/policy/sandbox-policy/parse.js'

const folder = process.env.SLUICE_POLICIES

const refusedByParser = (codes: readonly string[]): boolean =>
  codes.some((code) => POLICY_CODES[code as PolicyCode]?.stage === 'parse')

describe('OpenShell corpus', () => {
  if (folder === undefined) {
    it.skip('skipped: SLUICE_POLICIES does not name the folder of policies', () => {})
    return
  }
  const rows = corpusRows(folder)

  it('holds the files that its README counts', () => {
    expect(rows.length).toBe(199)
    expect(new Set(rows.map((row) => row.file)).size).toBe(198)
    expect(rows.filter((row) => row.wrap === 'template').length).toBe(13)
  })

  for (const row of rows.filter((row) => row.wrap !== 'template'))
    for (const profile of PROFILES)
      it(`${row.file} ${row.role} ${profile}`, () => {
        const bytes = wrapped(corpusBytes(folder, row), row.wrap)
        const { policy, notes } = parseSandboxPolicy(bytes, row.file, { profile, role: row.role })
        expect(found(policy !== undefined, notes)).toEqual(expected(row, profile))
        // What the canonical parser alone refuses is the parse stage of our codes.
        const codes = notes.filter((note) => note.severity !== 'info').map((note) => note.code)
        expect(refusedByParser(codes) ? 'reject' : 'accept').toBe(row.parse)
      })

  for (const row of rows.filter(refusedUnwrapped))
    it(`${row.file} is refused as it stands`, () => {
      for (const profile of PROFILES) {
        const { policy, notes } = parseSandboxPolicy(corpusBytes(folder, row), row.file, { profile, role: row.role })
        expect(policy).toBeUndefined()
        expect(codesOf(notes, 'error').some((code) => code === 'missing-version' || code === 'unknown-key')).toBe(true)
      }
    })
})
