// A disk that refuses: every system call that changes the agent's state fails in turn, once, with the process living on. After
// each, the held state is the old one or the new one, the node answers, and the same command goes through when the disk is well.

import { beforeEach, describe, expect, it, vi } from 'vitest'
import { apply } from '../../src/agent/enforce.js'
import { quarantine } from '../../src/agent/quarantine.js'
import { recoverState } from '../../src/agent/recover.js'
import { status } from '../../src/agent/status.js'
import { Store } from '../../src/agent/store.js'
import { MemoryDriver } from '../../src/backends/memory/driver.js'
import { Fault } from '../../src/base/fault.js'
import { ALPHA, MAIL, makeNode, memoryAs, offer, type TestNode, WEB } from '../unit/agent/fixture.js'

type Call = (...given: never[]) => unknown
/** Which call fails: the n-th of those counted since it was armed. */
const failing = vi.hoisted(() => ({ at: Number.POSITIVE_INFINITY, seen: [] as string[] }))
vi.mock('node:fs', async (original) => {
  const real = await original<Record<string, Call>>()
  const names = ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'renameSync', 'mkdirSync', 'rmSync']
  const errors: Readonly<Record<string, string>> = { writeSync: 'ENOSPC', fsyncSync: 'EIO', openSync: 'EMFILE' }
  const wrapped = names.map((name) => [
    name,
    (...given: never[]) => {
      failing.seen.push(name)
      if (failing.seen.length - 1 !== failing.at) return real[name]?.(...given)
      // Half of it was written, the handle was closed all the same.
      if (name === 'writeSync')
        (real.writeSync as unknown as (file: number, bytes: Uint8Array) => number)(
          given[0] as never,
          new Uint8Array([123]),
        )
      if (name === 'closeSync') real.closeSync?.(...given)
      throw Object.assign(new Error(`${errors[name] ?? 'EACCES'}: ${name}`), { code: errors[name] ?? 'EACCES' })
    },
  ])
  return { ...real, ...Object.fromEntries(wrapped) }
})
beforeEach(() => {
  failing.at = Number.POSITIVE_INFINITY
})

/** The same kernel and directory with a fresh process. */
const restarted = (node: TestNode): TestNode => ({ ...node, store: new Store(node.store.directory), facts: [] })

interface Round {
  readonly node: TestNode
  /** The code of the Fault, undefined when the command went through. */
  readonly code: string | undefined
}

/** Lets each call of `act` fail in turn; `look` judges each time. Gives the calls that failed. */
async function eachCall(
  prepare: () => Promise<TestNode>,
  act: (node: TestNode) => unknown,
  look: (round: Round) => Promise<void>,
): Promise<readonly string[]> {
  const failed: string[] = []
  for (let at = 0; ; at++) {
    const node = await prepare()
    failing.seen.length = 0
    failing.at = at
    let code: string | undefined
    try {
      await act(node)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      code = error.code
    }
    failing.at = Number.POSITIVE_INFINITY
    const call = failing.seen[at]
    await look({ node, code })
    if (call === undefined) return failed
    failed.push(call)
  }
}

const live = async (): Promise<TestNode> => {
  const node = makeNode([memoryAs('memory', ['veth'], new MemoryDriver())])
  await apply(node, await offer())
  return node
}
const CALLS = ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'renameSync']

describe('every call fails in turn', () => {
  it('during apply: the old plan or the new one, on record and in the kernel, and the next apply goes through', async () => {
    const next = await offer({ revision: 2n, egress: [WEB, MAIL] })
    const outcomes = new Set<string>()
    const failed = await eachCall(
      live,
      (node) => apply(node, next),
      async ({ node, code }) => {
        const after = restarted(node)
        const seen = await status(after)
        outcomes.add(`${code ?? 'applied'} ${seen.live?.generation}`)
        expect([1, 2]).toContain(seen.live?.generation)
        expect(after.store.load().mark?.revision).toEqual(
          seen.live?.generation === 2 ? '2' : expect.stringMatching(/^[12]$/),
        )
        expect((await after.backends.get('memory')?.driver.observe())?.live?.generation).toBe(seen.live?.generation)
        // A disk that refused is no verdict on the bundle.
        await apply(after, { ...next, retry: false })
        expect(await status(after)).toMatchObject({ state: 'active', live: { source: { policyRevision: '2' } } })
        expect(after.store.load().next).toBeNull()
      },
    )
    expect(new Set(failed)).toEqual(new Set([...CALLS, 'mkdirSync', 'rmSync']))
    expect(outcomes).toContain('AGENT_STORE_WRITE 1')
    expect(outcomes).toContain('applied 2')
  })
  it('during a quarantine: fenced in any case, on record or refused', async () => {
    const command = { workspace: ALPHA, reason: 'x', by: 'user:test', commandId: 'c', kind: 'quarantine-set' } as const
    const failed = await eachCall(
      live,
      (node) => quarantine(node, command),
      async ({ node, code }) => {
        expect((await node.backends.get('memory')?.driver.observe())?.live?.quarantined).toEqual([ALPHA])
        const list = restarted(node).store.quarantines()
        expect([undefined, 'AGENT_FENCED_UNRECORDED']).toContain(code)
        expect(list.length).toBeLessThanOrEqual(1)
        if (code === undefined) expect(list).toHaveLength(1)
        await quarantine(restarted(node), command)
        expect(restarted(node).store.quarantines()).toHaveLength(1)
      },
    )
    // The lock's folder too: fencing goes on without its lock.
    expect(new Set(failed)).toEqual(new Set([...CALLS, 'mkdirSync']))
  })
  it('during a lift: still fenced when it was refused', async () => {
    const command = { workspace: ALPHA, reason: 'x', by: 'user:test', commandId: 'c' }
    await eachCall(
      async () => {
        const node = await live()
        await quarantine(node, { ...command, kind: 'quarantine-set' })
        return node
      },
      (node) => quarantine(node, { ...command, kind: 'quarantine-lift' }),
      async ({ node, code }) => {
        const fenced = (await node.backends.get('memory')?.driver.observe())?.live?.quarantined
        expect(fenced).toEqual(code === undefined ? [] : [ALPHA])
      },
    )
  })
  it('during recovery: the quarantines are there, whatever failed', async () => {
    const failed = await eachCall(
      async () => {
        const node = await live()
        const command = { workspace: ALPHA, reason: 'x', by: 'user:test', commandId: 'c' }
        await quarantine(node, { ...command, kind: 'quarantine-set' })
        return node
      },
      (node) => recoverState(node.store.directory, 1_000),
      async ({ node, code }) => {
        expect([undefined, 'AGENT_STORE_WRITE']).toContain(code)
        expect(restarted(node).store.quarantines()).toHaveLength(1)
        await Promise.resolve()
      },
    )
    expect(new Set(failed)).toEqual(new Set([...CALLS, 'mkdirSync']))
  })
})
