// What asking the kernel how it renews may do to learning: nothing is written before the answer, a failure is not remembered, and a
// trial table that cannot be taken away is no failure. The kernel's part is played here.

import { expect, it } from 'vitest'
import type { KernelElement } from '../../../src/backends/nftables/kernel-set.js'
import { learn } from '../../../src/backends/nftables/learn.js'
import { NftError } from '../../../src/backends/nftables/libnftables.js'
import { refreshesTimeouts } from '../../../src/backends/nftables/refresh.js'
import type { Session } from '../../../src/backends/nftables/session.js'
import type { LearnedGrant } from '../../../src/plan/model.js'

const CLAUSE = `sha256:${'0'.repeat(64)}` as const
const WORKSPACE = 'spiffe://example.org/workspace/w1'
const RENEWED = [{ set: { elem: [{ elem: { val: 1, timeout: 1000, expires: 1000 } }] } }]

const grant = (i: number): LearnedGrant => ({
  ...{ workspace: WORKSPACE, clause: CLAUSE, name: 'git.example', protocol: 'tcp', address: `45.1.0.${i}`, port: 443 },
  ...{ generation: 1, expiresAtMs: Date.now() + 600_000 },
})

/** A session whose kernel holds whatever is written, and answers what `list` and `run` say. */
function played(list: () => unknown, run: (script: string) => void = () => undefined) {
  const written: KernelElement[] = []
  const change = async (elements: readonly KernelElement[]): Promise<void> => void written.push(...elements)
  const session = {
    live: {
      generation: 1,
      workspaces: [{ workspace: WORKSPACE, interface: 'w1', clauses: [{ clause: CLAUSE, mark: 7 }] }],
    },
    line: { ask: () => 1, apply: change },
    aside: { change },
    writer: { run: async (script: string) => run(script), list: async () => list() },
    learned: new Map<string, LearnedGrant[]>(),
    learnedLimit: 1024,
  }
  return { session: session as unknown as Session, written }
}

it('writes nothing before it knows how the kernel renews, and asks again after a failure', async () => {
  let isBroken = true
  const { session, written } = played(() => {
    if (isBroken) throw new Error('no memory')
    return RENEWED
  })
  session.learned.set('w1 . 45.1.0.99 . tcp . 443', [grant(99)])
  const grants = Array.from({ length: 100 }, (_, i) => grant(i))
  await expect(learn(session, 1, grants)).rejects.toThrow('no memory')
  expect(written).toEqual([])
  isBroken = false
  expect(await learn(session, 1, grants)).toBe(true)
  expect(written).toHaveLength(100)
})

it('knows how the kernel renews although the trial stays behind', async () => {
  const { session } = played(
    () => RENEWED,
    (script) => {
      if (script.includes('delete table')) throw new NftError('Device or resource busy')
    },
  )
  expect(await refreshesTimeouts(session)).toBe(true)
})
