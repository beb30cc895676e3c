// An activation that cannot be undone on one backend: whoever can goes back before the trail, or a disk that refuses, costs any time,
// and what was fenced is told.

import { beforeEach, describe, expect, it } from 'vitest'
import { apply } from '../../../src/agent/enforce.js'
import { NODE_FILES, type StateFiles } from '../../../src/agent/files.js'
import { fenceAll, withLastResort } from '../../../src/agent/last-resort.js'
import { stand } from '../../../src/agent/stand.js'
import type { Staged } from '../../../src/backends/backend.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { ALPHA, BETA, MAIL, makeNode, memoryAs, offer, type TestNode } from './fixture.js'

/** Takes one plan, and says of the next, which it has, and of every later one, which it has not, that it failed. */
class Stuck extends MemoryDriver {
  commits = 0
  override async commit(staged: Staged): Promise<void> {
    this.commits++
    if (this.commits < 3) await super.commit(staged)
    if (this.commits > 1) throw new TypeError('the device is stuck')
  }
}

interface Seen {
  readonly kind: string
  readonly workspace: string
  /** Of the backend that could go back. */
  readonly generation: number | undefined
}

let card: MemoryDriver
let host: Stuck
let full: boolean
let node: TestNode
let seen: Seen[]

beforeEach(async () => {
  card = new MemoryDriver()
  host = new Stuck()
  full = false
  seen = []
  const files: StateFiles = {
    ...NODE_FILES,
    writeSynced: (path, bytes) => {
      if (full && path.includes('quarantine')) throw new TypeError('no space left on device')
      NODE_FILES.writeSynced(path, bytes)
    },
  }
  node = {
    ...makeNode([memoryAs('doca-flow', ['veth'], card), memoryAs('nftables', ['tap'], host)], files),
    emit: async (facts) => {
      const { live } = await card.observe()
      for (const fact of facts)
        if (fact.kind === 'quarantine-set')
          seen.push({ kind: fact.commandId, workspace: fact.workspace.workspace, generation: live?.generation })
    },
  }
  await apply(node, await offer({ workspaces: [ALPHA, BETA] }))
})

const wider = async (): Promise<unknown> =>
  apply(node, await offer({ revision: 2n, workspaces: [ALPHA, BETA], egress: [MAIL] }))
const told = [{ kind: 'activation-failed', workspace: BETA, generation: 1 }]

describe('the last resort', () => {
  it('is told when every backend that can go back has done so', async () => {
    await expect(wider()).rejects.toMatchObject({ code: 'AGENT_ACTIVATION_FAILED' })
    expect((await card.observe()).live?.generation).toBe(1)
    expect((await host.observe()).live?.quarantined).toContain(BETA)
    expect(seen).toEqual(told)
    expect(node.store.quarantines()).toMatchObject([{ workspace: BETA, commandId: 'activation-failed' }])
  })

  it('is told once, whoever stands next', async () => {
    await expect(wider()).rejects.toThrow()
    await stand(node)
    expect(seen).toEqual(told)
  })

  it('that the disk refuses keeps no other backend from going back, and is told', async () => {
    full = true
    await expect(wider()).rejects.toThrow()
    expect((await card.observe()).live?.generation).toBe(1)
    expect((await host.observe()).live?.quarantined).toContain(BETA)
    expect(seen).toEqual(told)
  })

  it('is asked of the trail for everybody, and a trail that refuses does not take the place of what failed', async () => {
    const asked: string[] = []
    node = {
      ...node,
      emit: (facts) => {
        for (const fact of facts) if (fact.kind === 'quarantine-set') asked.push(fact.workspace.workspace)
        return Promise.reject(new TypeError('the trail refuses'))
      },
    }
    const failing = withLastResort(node, async (fence) => {
      await fence([ALPHA, BETA], 'why')
      throw new TypeError('the device is stuck')
    })
    await expect(failing).rejects.toThrow('the device is stuck')
    expect(asked).toEqual([ALPHA, BETA])
    for (const entry of node.store.quarantines()) expect(entry).toHaveProperty('untoldMs')
  })

  it('says nothing of whom the disk refused and no backend had', async () => {
    full = true
    const gone = 'spiffe://fleet.example/ws/gone'
    await expect(withLastResort(node, (fence) => fence([ALPHA, gone], 'why'))).rejects.toThrow()
    expect(seen.map(({ workspace }) => workspace)).toEqual([ALPHA])
  })

  it('leaves telling to who asked for it', async () => {
    const untold: (() => Promise<void>)[] = []
    await fenceAll(node, [ALPHA, BETA], 'why', untold)
    expect(seen).toEqual([])
    for (const tell of untold) await tell()
    expect(seen.map(({ workspace }) => workspace)).toEqual([ALPHA, BETA])
  })
})
