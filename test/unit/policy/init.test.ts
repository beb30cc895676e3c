// `fencePolicyFor`: the text parses clean, delegates exactly what the SandboxPolicy needs, and refuses what it cannot write.
// With SLUICE_POLICIES set, every accepted file of the corpus goes through it.

import { describe, expect, it } from 'vitest'
import { corpusBytes, corpusRows, wrapped } from '../../../scripts/corpus-rows.mjs'
import { Fault } from '../../../src/base/fault.js'
import { fencePolicyFor } from '../../../src/policy/init.js'
import { PROFILES, type Profile, type Role } from '../../../src/policy/model.js'
import { normalizePolicies } from '../../../src/policy/normalize.js'
import { parseSandboxPolicy } from '../../../src/policy/sandbox-policy/parse.js'

const OPTIONS = {
  name: 'demo',
  sandboxPath: 'sandbox.yaml',
  workspaces: ['spiffe://corp.example/ws/a'],
  profile: 'strict',
} as const
const SANDBOX = `version: 1
process: { run_as_user: sandbox }
network_policies:
  api:
    endpoints:
      - { host: api.example.com, port: 443, protocol: rest, access: full, enforcement: enforce }
      - { host: "*.cdn.example.com", port: 443 }
    binaries: [{ path: /usr/bin/curl }]
`

/** Policies and error notes of a bundle with the written FencePolicy. */
function roundTrip(bytes: Uint8Array, profile: Profile, role: Role) {
  const { policy } = parseSandboxPolicy(bytes, 'sandbox.yaml', { profile, role })
  if (!policy) throw new Error('the sample must be accepted')
  const text = fencePolicyFor(policy, { ...OPTIONS, profile })
  const members = new Map([
    ['fence.yaml', new TextEncoder().encode(text)],
    ['sandbox.yaml', bytes],
  ])
  return { text, ...normalizePolicies(members) }
}

describe('fencePolicyFor', () => {
  it('writes what a person can read and accept', () => {
    const { text, policies, notes } = roundTrip(new TextEncoder().encode(SANDBOX), 'strict', 'authored')
    expect(text).toBe(`apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata:
  name: demo
applies_to:
  workspaces:
    - "spiffe://corp.example/ws/a"
sandboxPolicy:
  path: sandbox.yaml
  profile: strict
  role: authored
on_expiry: suspend
# What the fence cannot see and leaves to the runtime inside the workspace. Removing a line refuses the bundle, unless
# the clauses that need it are removed too.
delegate:
  # binaries of 2 clauses, first at line 6: a fence sees connections, not the program that opens them.
  - binary
  # access of one clause, first at line 6: a fence sees addresses and ports, not requests.
  - l7
  # run_as_user of one clause, first at line 2: a fence outside does not choose the user that a program runs as.
  - user
# Names are learnt from DNS answers. On a network without a resolver, or for names with private addresses, pin them: take
# away the leading "# " and put in the addresses. Names that share an address also need - shared-address under delegate.
# dns:
#   pins:
#     api.example.com: [ADDRESS]
`)
    expect(notes.map((note) => note.code)).toEqual(['wildcard-host'])
    expect(policies?.[0]?.delegate).toEqual(['binary', 'l7', 'user'])
  })

  it('gives pins that parse once the addresses are in', () => {
    const { text } = roundTrip(new TextEncoder().encode(SANDBOX), 'strict', 'authored')
    const pinned = text.replace(/^# (dns:| {2}pins:| {4}\S+: \[)/gm, '$1').replace('ADDRESS', '10.0.0.1')
    const { policies } = normalizePolicies(
      new Map([
        ['fence.yaml', new TextEncoder().encode(pinned)],
        ['sandbox.yaml', new TextEncoder().encode(SANDBOX)],
      ]),
    )
    expect(policies?.[0]?.dns.pins).toEqual(new Map([['api.example.com', ['10.0.0.1']]]))
  })

  const refused = [
    [
      { name: 'a b' },
      'a FencePolicy cannot have "a b" as metadata.name: expected letters, digits, dots, dashes and underscores, at most 63',
    ],
    [
      { sandboxPath: '../s.yaml' },
      'a FencePolicy cannot have "../s.yaml" as sandboxPolicy.path: expected a path within the bundle, such as sandbox.yaml',
    ],
    [
      { workspaces: ['alpha'] },
      'a FencePolicy cannot have "alpha" as applies_to.workspaces: expected an id such as spiffe://corp.example/ws/alpha',
    ],
    [{ workspaces: [] }, 'a FencePolicy cannot have "" as applies_to.workspaces: expected at least one workspace id'],
  ] as const
  for (const [change, message] of refused)
    it(`refuses ${JSON.stringify(change)}`, () => {
      const { policy } = parseSandboxPolicy(new TextEncoder().encode(SANDBOX), 's', {
        profile: 'strict',
        role: 'authored',
      })
      if (!policy) throw new Error('the sample must be accepted')
      const act = () => fencePolicyFor(policy, { ...OPTIONS, ...change })
      expect(act).toThrow(message)
      expect(act).toThrow(Fault)
      expect(act).toThrow(expect.objectContaining({ code: 'POLICY_INIT_VALUE', reaction: 'reject' }))
    })
})

const folder = process.env.SLUICE_POLICIES

describe('fencePolicyFor over the corpus', () => {
  if (folder === undefined) {
    it.skip('skipped: SLUICE_POLICIES does not name the folder of policies', () => {})
    return
  }
  const rows = corpusRows(folder).filter((row) => row.compat === 'accept')

  it('has accepted files to go through', () => {
    expect(rows.length).toBe(147)
  })

  for (const row of rows)
    it(`${row.file} ${row.role}`, () => {
      const bytes = wrapped(corpusBytes(folder, row), row.wrap)
      for (const profile of PROFILES.filter((name) => row[name] === 'accept')) {
        const { policies, notes } = roundTrip(bytes, profile, row.role)
        expect(notes.filter((note) => note.severity === 'error' || note.file === 'fence.yaml')).toEqual([])
        const needed = policies?.[0]?.clauses.flatMap((clause) => clause.losses.map((loss) => loss.dimension))
        expect(policies?.[0]?.delegate).toEqual([...new Set(needed)].sort())
      }
    })
})
