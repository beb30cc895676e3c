// What the fence does when something under it breaks: its record, its disk, the agent in the middle of a commit, conntrack, the
// link. The answer is always to deny or to go on as before, and to say so; never to open.

import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { ID, ID2, sliceOf, type Wanted } from '../support/nftables/slices.js'

const KEPT = `tcp ${OUT.git} 80`
const LOST = `tcp ${OUT.registry} 80`
const BOTH: Wanted = { egress: [KEPT, LOST] }

labSuite('nftables, when what it stands on breaks', () => {
  let lab: Lab
  let nft: NftHarness
  let generation = 0
  const state = stateDirectory()
  const apply = (ws: Wanted, ws2: Wanted = {}, expiresAtMs?: number): Promise<void> =>
    nft.apply(sliceOf(++generation, ws, ws2, expiresAtMs))
  const node = (...argv: string[]) => lab.exec('node', argv)
  const restart = async (): Promise<void> => {
    await nft.end()
    nft = await NftHarness.start(lab.namespace('node'), state.path)
  }
  const download = async (host: string): Promise<number> => {
    const { number } = await lab.ws.download({ host, port: 80, rate: 200_000 })
    return number
  }
  const flowsTo = async (host: string): Promise<string> =>
    (await node('conntrack', '-L', '-p', 'tcp', '--orig-dst', host)).stdout
  const until = async (done: () => Promise<boolean>): Promise<void> => {
    while (!(await done())) await new Promise((go) => setTimeout(go, 20))
  }
  const reach = (host: string = OUT.git) => lab.ws.tcp({ host, port: 80, timeoutMs: 400 })

  beforeAll(async () => {
    lab = await openLab()
    nft = await NftHarness.start(lab.namespace('node'), state.path)
  })
  afterAll(async () => {
    await nft?.end()
    await lab?.close()
    state.remove()
  })
  beforeEach(async () => {
    await apply(BOTH)
  })

  it.each([
    ['is cut short', (text: string) => text.slice(0, text.length / 2), /^nftables.json cannot be used, .*JSON/],
    [
      'is of another form',
      (text: string) => text.replace('"workspaces":[', '"workspaces":[7,'),
      /read from the kernel: it is not in the form that this version writes$/,
    ],
  ])('a record that %s is said, and quarantine works without it', async (_, damage, says) => {
    const file = `${state.path}/nftables.json`
    const number = await download(OUT.git)
    await nft.end()
    writeFileSync(file, damage(readFileSync(file, 'utf8')))
    nft = await NftHarness.start(lab.namespace('node'), state.path)
    const seen = await nft.observe()
    expect(seen.drift).toEqual(['nothing on record vouches for what is live', expect.stringMatching(says)])
    expect(seen.live).toMatchObject({ generation, workspaces: [ID, ID2], quarantined: [] })
    await nft.flag(ID, 'quarantined', true)
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    await until(async () => (await flowsTo(OUT.git)) === '')
    expect((await nft.observe()).live?.quarantined).toEqual([ID])
    await expect(nft.stage(sliceOf(generation - 1, BOTH))).rejects.toMatchObject({
      code: 'NFT_STALE',
      says: [`generation ${generation - 1} is older than the live one, ${generation}`],
    })
    await apply(BOTH)
    expect((await nft.observe()).drift).toEqual([])
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    await nft.flag(ID, 'quarantined', false)
    expect(await reach()).toMatchObject({ outcome: 'connected' })
    await lab.ws.stopDownload([number])
  })

  it.each(['lost', 'older than what is live'])(
    'a session is seen, ends, and no other comes, where the record is %s',
    async (how) => {
      const peer = (address: string) => ({ workspace: ID, peer: address, expiresAtMs: Date.now() + 3_600_000 })
      expect(await nft.sessions(ID, [peer(OUT.broker), peer(OUT.git)])).toBe(true)
      if (how === 'lost') {
        await nft.end()
        writeFileSync(`${state.path}/nftables.json`, '{')
      } else {
        const staged = await nft.stage(sliceOf(++generation, BOTH))
        await nft.atSwitch('after', ['sh', '-c', 'kill -9 $PPID'])
        await expect(nft.commit(staged)).rejects.toThrow('driver ended')
      }
      nft = await NftHarness.start(lab.namespace('node'), state.path)
      const seen = (await nft.observe()).live?.sessions ?? []
      expect(new Set(seen.map((one) => `${one.workspace} ${one.peer}`))).toEqual(
        new Set([`${ID} ${OUT.broker}`, `${ID} ${OUT.git}`]),
      )
      expect(await nft.sessions(ID, [peer(OUT.git), peer(OUT.registry)])).toBe(false)
      expect((await nft.observe()).live?.sessions).toMatchObject([{ workspace: ID, peer: OUT.git }])
      expect(await nft.sessions(ID, [])).toBe(true)
      expect((await nft.observe()).live?.sessions).toEqual([])
    },
  )

  it('an agent killed between switch and cut: a grant that comes back revives nothing', async () => {
    const [kept, lost] = [await download(OUT.git), await download(OUT.registry)]
    const staged = await nft.stage(sliceOf(++generation, { egress: [KEPT] }))
    await nft.atSwitch('after', ['sh', '-c', 'kill -9 $PPID'])
    await expect(nft.commit(staged)).rejects.toThrow('driver ended')
    expect(await flowsTo(OUT.registry)).toContain('ESTABLISHED')
    nft = await NftHarness.start(lab.namespace('node'), state.path)
    expect((await nft.observe()).drift).toContain(
      `generation ${generation} is live, and ${generation - 1} was put there`,
    )
    const staging = await nft.stage(sliceOf(++generation, BOTH))
    await nft.atSwitch('before', ['conntrack', '-L', '-p', 'tcp'])
    await nft.commit(staging)
    const [atSwitch = ''] = await nft.saidAtSwitch()
    expect(atSwitch).toContain(`dst=${OUT.git} `)
    expect(atSwitch).not.toContain(`dst=${OUT.registry} `)
    expect((await nft.observe()).drift).toEqual([])
    const [, before] = await lab.ws.downloads([kept, lost])
    const [running] = await lab.ws.downloads([kept])
    await until(async () => ((await lab.ws.downloads([kept]))[0]?.bytes ?? 0) > (running?.bytes ?? 0) + 40_000)
    expect((await lab.ws.downloads([lost]))[0]?.bytes).toBe(before?.bytes)
    await lab.ws.stopDownload([kept, lost])
  })

  it('flows that only the clock suspended are gone before the switch, not after it', async () => {
    const number = await download(OUT.git)
    const expiresAtMs = Date.now() + 300
    await apply(BOTH, {}, expiresAtMs)
    await until(async () => (await nft.observe()).live?.suspended.includes(ID) === true)
    expect(await flowsTo(OUT.git)).toContain('ESTABLISHED')
    const staged = await nft.stage(sliceOf(++generation, BOTH))
    await nft.atSwitch('before', ['conntrack', '-L', '-p', 'tcp'])
    await nft.commit(staged)
    expect(await nft.saidAtSwitch()).toEqual([''])
    await lab.ws.stopDownload([number])
  })

  it('a commit whose numbers are not there when read back is not called live', async () => {
    const staged = await nft.stage(sliceOf(++generation, BOTH))
    await nft.atSwitch('after', ['nft', 'flush set inet sluice gen'])
    await expect(nft.commit(staged)).rejects.toMatchObject({
      code: 'NFT_READ_BACK',
      says: [expect.stringMatching(/^read back nothing where \d+ sha256:[0-9a-f]{64} was written$/)],
    })
    await apply(BOTH)
    expect((await nft.observe()).drift).toEqual([])
  })

  it('a state directory that cannot be written stops a commit before it begins, and no quarantine', async () => {
    await nft.end()
    nft = await NftHarness.start(lab.namespace('node'), '/dev/null/sluice')
    const staged = await nft.stage(sliceOf(generation + 1, { egress: [KEPT] }))
    await expect(nft.commit(staged)).rejects.toMatchObject({
      code: 'NFT_STATE',
      says: [expect.stringContaining('/dev/null/sluice/nftables.json cannot be written: '), expect.anything()],
    })
    expect((await nft.observe()).live).toMatchObject({ generation })
    expect(await reach(OUT.registry)).toMatchObject({ outcome: 'connected' })
    await nft.flag(ID, 'quarantined', true)
    expect(await reach()).toMatchObject({ outcome: 'timeout' })
    await nft.discard(staged)
    await nft.flag(ID, 'quarantined', false)
    await restart()
    expect((await nft.observe()).drift).toEqual([])
  })

  it('after `conntrack -F` a running flow is refused and reset, not adopted; new ones go through', async () => {
    const number = await download(OUT.git)
    await node('conntrack', '-F')
    await lab.ws.poke(number)
    await until(async () => (await lab.ws.downloads([number]))[0]?.state !== 'open')
    expect((await lab.ws.downloads([number]))[0]).toMatchObject({ state: 'reset' })
    expect(await flowsTo(OUT.git)).not.toContain('ESTABLISHED')
    expect(await reach()).toMatchObject({ outcome: 'connected' })
    expect((await nft.observe()).drift).toEqual([])
  })

  it('a link that goes down and comes up is the same slot, under the same grants', async () => {
    const number = await download(OUT.git)
    await node('ip', 'link', 'set', 'ws0', 'down')
    expect((await nft.observe()).drift).toEqual([])
    await node('sh', '-ec', 'ip link set ws0 up; ip addr replace fd09:0:0:1::1/64 dev ws0 nodad')
    const [before] = await lab.ws.downloads([number])
    await until(async () => ((await lab.ws.downloads([number]))[0]?.bytes ?? 0) > (before?.bytes ?? 0))
    expect(await lab.ws.tcp({ host: OUT.unlisted, port: 80 })).toMatchObject({ outcome: 'reset' })
    expect((await nft.observe()).drift).toEqual([])
    await lab.ws.stopDownload([number])
  })
})
