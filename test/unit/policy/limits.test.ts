// Limits on hostile documents: each holds at the limit and refuses one past it, and none lets a document cost much more than
// its length.

import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/base/limits.js'
import { checkDocument } from '../../../src/policy/check.js'
import { MAX_FINDINGS } from '../../../src/policy/findings.js'

const check = (text: string) =>
  checkDocument(new TextEncoder().encode(text), 'd.yaml', { profile: 'strict', role: 'authored' })
const errors = (text: string) =>
  check(text)
    .notes.filter((note) => note.severity === 'error')
    .map((note) => note.code)
const many = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join('')
const endpoints = (count: number, line: (i: number) => string) =>
  `version: 1\nnetwork_policies:\n  a:\n    binaries: [{ path: /x }]\n    endpoints:\n${many(count, line)}`

describe('limits of policy documents', () => {
  it('takes 256 filesystem paths and no more', () => {
    const paths = (count: number) =>
      `version: 1\nfilesystem_policy:\n  read_only:\n${many(count, (i) => `    - /p${i}\n`)}`
    expect(errors(paths(256))).toEqual([])
    expect(errors(paths(257))).toEqual(['fs-too-many-paths'])
  })

  it('takes paths of 4096 octets and no more', () => {
    const path = (length: number) => `version: 1\nfilesystem_policy:\n  read_only: [/${'a'.repeat(length - 1)}]\n`
    expect(errors(path(4096))).toEqual([])
    expect(errors(path(4097))).toEqual(['fs-path'])
  })

  it('takes 10 middlewares and 32 patterns and no more', () => {
    const configs = (count: number, patterns: number) =>
      `version: 1\nnetwork_middlewares:\n${many(count, (i) => `  m${i}: { middleware: x/y, order: ${i}, endpoints: { include: [${many(patterns, (j) => `h${j}.example.com, `)}] } }\n`)}`
    expect(errors(configs(10, 32))).toEqual([])
    expect(errors(configs(11, 1))).toEqual(['middleware-limit'])
    expect(errors(configs(1, 33))).toEqual(['middleware-selector'])
  })

  it('takes the limit of rules and no more', () => {
    const rules = (count: number) => `version: 1\nnetwork_policies:\n${many(count, (i) => `  r${i}: {}\n`)}`
    expect(errors(rules(LIMITS.sandboxRules))).toEqual([])
    expect(errors(rules(LIMITS.sandboxRules + 1))).toContain('too-many-rules')
  })

  it('compares thousands of exact hosts without trouble', () => {
    expect(errors(endpoints(20_000, (i) => `      - { host: h${i}.example.com, port: 443 }\n`))).toEqual([])
  })

  it('refuses wildcards that cannot be compared in the time that a document may take', () => {
    expect(errors(endpoints(500, (i) => `      - { host: "*.n${i}.example.com", port: 443 }\n`))).toEqual([])
    expect(errors(endpoints(9_000, (i) => `      - { host: "*.n${i}.example.com", port: 443 }\n`))).toContain(
      'overlap-budget',
    )
  })

  it('cuts the list of findings and says how many there were, still as an error', () => {
    const text = `apiVersion: sluice.dev/v1alpha1\nkind: FencePolicy\nmetadata: { name: a }\napplies_to: { workspaces: [spiffe://a/b] }\negress:\n  - { name: a, protocol: tcp, ports: [1], cidrs: [${many(MAX_FINDINGS + 7, () => 'x, ')}] }\n`
    const { accepted, notes } = check(text)
    expect(accepted).toBe(false)
    expect(notes).toHaveLength(MAX_FINDINGS + 1)
    expect(notes[0]).toMatchObject({
      code: 'more-findings',
      severity: 'error',
      say: '7 more findings are not shown; mend these first',
    })
  })
})
