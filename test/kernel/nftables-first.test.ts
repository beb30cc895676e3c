// Before any plan: the empty slice that a first start commits is a closed program, and a quarantine of a workspace that is
// nowhere yet waits for it. Real packets, in a laboratory that nothing has fenced before.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { emptySlice, ID, ID2, sliceOf } from '../support/nftables/slices.js'

labSuite('nftables, before any plan', () => {
  let lab: Lab
  let nft: NftHarness
  const state = stateDirectory()
  const reach = () => lab.ws.tcp({ host: OUT.git, port: 80, timeoutMs: 300 })
  const node = (...argv: string[]) => lab.exec('node', argv)
  const GRANTED = { egress: [`tcp ${OUT.git} 80`] }
  const restart = async (): Promise<void> => {
    await nft.end()
    nft = await NftHarness.start(lab.namespace('node'), state.path)
  }

  beforeAll(async () => {
    lab = await openLab()
    nft = await NftHarness.start(lab.namespace('node'), state.path)
  })
  afterAll(async () => {
    await nft?.end()
    await lab?.close()
    state.remove()
  })

  it('lifts what nothing holds without making anything, and has nothing live', async () => {
    expect(await reach()).toMatchObject({ outcome: 'connected' })
    await nft.flag(ID, 'quarantined', false)
    expect((await node('nft', 'list', 'ruleset')).stdout).toBe('')
    expect((await nft.observe()).live).toBe(null)
  })

  it('an empty slice drops what matches attach.interfaces, both ways, and nothing else', async () => {
    await nft.apply(emptySlice(1))
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ws.tcp({ host: WS.gateway4, port: 22, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ping('out', WS.v4, { timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect((await node('ping', '-c', '1', '-W', '1', WS.v4)).status).toBe(1)
    expect((await node('ping', '-c', '1', '-W', '1', UPLINK.out.v4)).status).toBe(0)
    const seen = await nft.observe()
    expect(seen).toMatchObject({ drift: [], live: { generation: 1, workspaces: [], quarantined: [], suspended: [] } })
    expect(seen.drops['not-attached']).toBeGreaterThan(1n)
  })

  it('keeps them dropped after a foreign flush, by the floor', async () => {
    await node('nft', 'flush', 'ruleset')
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect((await nft.observe()).drops['deny-floor']).toBeGreaterThan(0n)
    await nft.apply(emptySlice(1))
    expect((await nft.observe()).drift).toEqual([])
  })

  it('a quarantine waits for its workspace, through a restart, and fences it when it appears', async () => {
    await nft.flag(ID, 'quarantined', true)
    await nft.flag(ID2, 'suspended', true)
    await nft.flag(ID2, 'suspended', false)
    expect((await nft.observe()).live).toMatchObject({ workspaces: [], quarantined: [] })
    await restart()
    await nft.apply(sliceOf(2, GRANTED, GRANTED))
    expect((await nft.observe()).live).toMatchObject({ workspaces: [ID, ID2], quarantined: [ID], suspended: [] })
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
  })

  it('waits again when the workspace goes, and a lift in between is a lift', async () => {
    await nft.apply(emptySlice(3))
    await restart()
    await nft.apply(sliceOf(4, GRANTED))
    expect((await nft.observe()).live?.quarantined).toEqual([ID])
    await nft.apply(emptySlice(5))
    await restart()
    await nft.flag(ID, 'quarantined', false)
    await nft.apply(sliceOf(6, GRANTED))
    expect((await nft.observe()).live?.quarantined).toEqual([])
    expect(await reach()).toMatchObject({ outcome: 'connected' })
  })

  it('opening and observing write nothing', async () => {
    await node('tc', 'filter', 'del', 'dev', 'up0', 'egress')
    await restart()
    const seen = await nft.observe()
    expect(seen.drift).toEqual(['interface up0 has no deny floor'])
    expect((await node('tc', 'filter', 'show', 'dev', 'up0', 'egress')).stdout).toBe('')
  })
})
