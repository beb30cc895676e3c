// `silence: deny` on a node: whatever is put live while a stream is silent is put live suspended, and a record of the streams that
// nobody can read is silence, and no reason to judge nothing else.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RevocationConfig } from '../../../src/agent/config-revocation.js'
import { apply } from '../../../src/agent/enforce.js'
import { tend } from '../../../src/agent/freshness.js'
import { repair } from '../../../src/agent/loop-repair.js'
import { RevocationMemory } from '../../../src/agent/revocation-memory.js'
import { stand } from '../../../src/agent/stand.js'
import { MemoryDriver } from '../../../src/backends/memory/driver.js'
import { ALPHA, BETA, makeNode, memoryAs, NOW, offer, type TestNode, UNTIL } from './fixture.js'

const WINDOW = 60_000
const REVOCATION = {
  latencyMs: 5_000,
  silence: 'deny',
  streams: [{ name: 'idp', kind: 'push', silenceMs: WINDOW }],
} as unknown as RevocationConfig

/** What was suspended at the moment of each switch. */
class Watched extends MemoryDriver {
  readonly switched: (readonly string[])[] = []
  override async commit(...given: Parameters<MemoryDriver['commit']>): Promise<void> {
    await super.commit(...given)
    this.switched.push((await this.observe()).live?.suspended ?? [])
  }
}

function silentNode(config: RevocationConfig = REVOCATION): { node: TestNode; driver: Watched } {
  const driver = new Watched()
  const node = makeNode([memoryAs('memory', ['veth', 'tap'], driver)])
  Object.assign(node, { config: { ...node.config, revocation: config } })
  new RevocationMemory(node.store.directory, () => NOW).record('idp')
  return { node, driver }
}
/** As after a reboot: the record is there, and the kernel has nothing. */
function rebooted(node: TestNode): Watched {
  const driver = new Watched()
  Object.assign(node, { backends: new Map([['memory', memoryAs('memory', ['veth', 'tap'], driver)]]) })
  return driver
}
const suspended = async (driver: MemoryDriver) => (await driver.observe()).live?.suspended

describe('while a stream is silent', () => {
  it('a plan that is put back after a reboot, or repaired, is suspended from the switch on', async () => {
    const { node, driver } = silentNode()
    await apply(node, await offer())
    expect(await suspended(driver)).toEqual([])
    node.now = NOW + WINDOW + 1
    const after = rebooted(node)
    expect([await stand(node), after.switched]).toEqual(['restored', [[ALPHA]]])
    const flushed = rebooted(node)
    expect([(await repair(node)).kind, flushed.switched]).toEqual(['restored', [[ALPHA]]])
  })

  it('a workspace that a bundle adds is suspended from the switch on, and let in when the stream is heard', async () => {
    const { node, driver } = silentNode()
    await apply(node, await offer())
    node.now = NOW + WINDOW + 1
    await apply(node, await offer({ revision: 2n, inventoryRevision: 2, workspaces: [ALPHA, BETA] }))
    expect(driver.switched.at(-1)).toEqual([ALPHA, BETA])
    new RevocationMemory(node.store.directory, () => node.now).heard('idp', node.now)
    expect((await tend(node)).resumed).toEqual([ALPHA, BETA])
  })

  it('everybody is suspended also under a root that was rolled back, and by a clock that went back', async () => {
    const { node, driver } = silentNode()
    await apply(node, await offer())
    node.store.saveTrustMemory({ ...node.store.trustMemory(), rootVersion: node.trust.version + 1 })
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
    node.now = NOW + WINDOW + 1
    expect((await tend(node)).suspended).toEqual([ALPHA])
    new RevocationMemory(node.store.directory, () => node.now).heard('idp', node.now)
    expect((await tend(node)).resumed).toEqual([ALPHA])
    node.now = NOW - 400_000
    expect((await tend(node)).suspended).toEqual([ALPHA])
    // By this clock the stream is heard again, and nobody is let in by it.
    new RevocationMemory(node.store.directory, () => node.now).heard('idp', node.now)
    expect(await tend(node)).toEqual({ suspended: [], resumed: [] })
    expect(await suspended(driver)).toEqual([ALPHA])
  })

  it('is nothing but an alarm where the operator says so', async () => {
    const { node, driver } = silentNode({ ...REVOCATION, silence: 'alarm' })
    node.now = NOW + WINDOW + 1
    await apply(node, await offer())
    expect(driver.switched).toEqual([[]])
  })
})

describe('a record of the streams that cannot be read', () => {
  const damage = (node: TestNode): void => {
    mkdirSync(join(node.store.directory, 'revocation'), { recursive: true })
    writeFileSync(join(node.store.directory, 'revocation', 'streams.json'), '{')
  }
  it('is silence', async () => {
    const { node, driver } = silentNode()
    await apply(node, await offer())
    damage(node)
    expect((await tend(node)).suspended).toEqual([ALPHA])
    expect(await suspended(driver)).toEqual([ALPHA])
  })

  it('does not keep a bundle from expiring', async () => {
    const { node } = silentNode({ ...REVOCATION, silence: 'alarm' })
    await apply(node, await offer())
    damage(node)
    node.now = UNTIL
    expect((await tend(node)).suspended).toEqual([ALPHA])
  })
})
