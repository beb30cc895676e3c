// A large bundle is compiled on a thread of its own (bin/compiler.ts): with the result of compiling it in place, to the octet and
// the finding, and with the loop free meanwhile. Uses the built program, because a thread begins with a file.

import { readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { type Compiled, type Compiling, compileBundle } from '../../src/agent/compile.js'
import { utf8 } from '../../src/base/bytes.js'
import { repositoryPath } from '../support/lab/repository.js'
import { MEMORY, SOURCE } from '../support/plans.js'

const AUDIENCE = 'spiffe://example.org/fleet/coding-agent'
const GRANTS = 24_000

type Aside = (given: Compiling) => Promise<Compiled>
const { compileAside } = (await import(repositoryPath('dist/bin/compiler.js'))) as { readonly compileAside: Aside }

function given(grants: number, end = ''): Compiling {
  const cidrs = Array.from(
    { length: grants },
    (_, i) => `    - "45.${76 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32"\n`,
  )
  const fence = `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: {name: large}
applies_to: {workspaces: ["spiffe://example.org/workspace/coding-agent/*"]}
egress:
  - name: many
    protocol: tcp
    ports: [443]
    cidrs:
${cidrs.join('')}${end}`
  return {
    members: new Map([['fence.yaml', utf8(fence)]]),
    source: SOURCE,
    slots: {
      bytes: new Uint8Array(readFileSync(repositoryPath('policies/coding-agent/inventory.yaml'))),
      audience: AUDIENCE,
      revision: '1',
    },
    inventoryFile: 'inventory.yaml',
    capabilities: [MEMORY],
    order: ['memory'],
    needing: [],
    mediated: false,
  }
}

it.each([
  ['a bundle that is compiled in place', given(3), 'plan'],
  ['a large one', given(GRANTS), 'plan'],
  ['a large one with a mistake at its end', given(GRANTS, '  - {name: odd, to: nowhere}\n'), 'bad-policies'],
  [
    'a large one with an inventory of another fleet',
    { ...given(GRANTS), slots: { ...given(1).slots, audience: 'else' } },
    'bad-inventory',
  ],
  ['a large one that nothing can enforce', { ...given(GRANTS), capabilities: [], order: [] }, 'refused'],
])('%s gives what compiling it here gives', { timeout: 120_000 }, async (_, bundle: Compiling, kind) => {
  const here = compileBundle(bundle, new Map())
  const there = await compileAside(bundle)
  expect(here.kind).toBe(kind)
  expect(there.kind).toBe(kind)
  expect(there.notes).toEqual(here.notes)
  if (here.kind === 'plan' && there.kind === 'plan')
    expect(Buffer.from(there.encoded).equals(Buffer.from(here.encoded))).toBe(true)
})

it('a thread that cannot begin is a refusal that is tried again', async () => {
  // What cannot be copied to a thread.
  const odd = { ...given(GRANTS), order: [() => undefined] } as unknown as Compiling
  await expect(compileAside(odd)).rejects.toMatchObject({ code: 'AGENT_COMPILE_LOST', reaction: 'retry' })
})

it('the loop turns while a large one is compiled', { timeout: 120_000 }, async () => {
  let done = false
  const compiling = compileAside(given(GRANTS)).finally(() => {
    done = true
  })
  let turns = 0
  for (; !done; turns++) await turn()
  expect((await compiling).kind).toBe('plan')
  // In place there would be one: before.
  expect(turns).toBeGreaterThan(10)
})
