// What a change does to live traffic: flows that stay granted notice nothing, flows that lose their grant are cut and stay cut
// whatever is granted later, a stage that fails or is taken back touches nothing, learned grants come, expire and go with
// their clause, and the deadline of a bundle holds by itself.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { clauseOf, grantOf, ID, ID2, sliceOf, type Wanted } from '../support/nftables/slices.js'

const KEPT = `tcp ${OUT.git} 80`
const OTHER = `tcp ${OUT.registry} 80`
const BOTH: Wanted = { egress: [KEPT, OTHER] }
const RATE = 200_000

labSuite('nftables, changes under traffic', () => {
  let lab: Lab
  let nft: NftHarness
  let generation = 0
  const state = stateDirectory()
  const apply = async (ws: Wanted, ws2: Wanted = {}, expiresAtMs?: number): Promise<number> => {
    await nft.apply(sliceOf(++generation, ws, ws2, expiresAtMs))
    return generation
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
  beforeEach(async () => {
    await apply(BOTH)
  })

  const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
  const downloads = (numbers: readonly number[]) => lab.ws.downloads(numbers)
  const start = async (host: string): Promise<number> => (await lab.ws.download({ host, port: 80, rate: RATE })).number

  it('cuts the flow that lost its grant, and its neighbour runs on without a retransmission', async () => {
    const [kept, lost] = [await start(OUT.git), await start(OUT.registry)]
    await pause(150)
    const [before, outBefore] = [await lab.ws.tcpCounters(), await lab.out.tcpCounters()]
    const bytes = (await downloads([kept]))[0]?.bytes ?? 0
    await apply({ egress: [KEPT] })
    await pause(300)
    const [keptNow, lostNow] = await downloads([kept, lost])
    expect(keptNow).toMatchObject({ state: 'open' })
    expect(keptNow?.bytes).toBeGreaterThan(bytes)
    const silentMs = Date.now() - (lostNow?.lastByteMs ?? 0)
    expect(silentMs).toBeGreaterThan(200)
    // What is still on the wire when the grant goes is answered by nobody; the kept flow sees none of it.
    await apply(BOTH)
    await pause(400)
    const [, still] = await downloads([kept, lost])
    expect(still?.bytes).toBe(lostNow?.bytes)
    const [after, outAfter] = [await lab.ws.tcpCounters(), await lab.out.tcpCounters()]
    expect(after.RetransSegs - before.RetransSegs).toBe(0)
    expect(outAfter.EstabResets - outBefore.EstabResets).toBe(0)
    await lab.ws.stopDownload([kept, lost])
  })

  it('resets the workspace when it next speaks on a cut flow, also after the grant was given back', async () => {
    const granted = { egress: [`tcp ${OUT.git} 8000`] }
    await apply(granted)
    const program = `
      const socket = require('node:net').connect(8000, '${OUT.git}', () => socket.write('a'))
      socket.once('data', () => setTimeout(() => { socket.write('b'); sent = performance.now() }, 1200))
      let sent = 0
      socket.on('error', (e) => console.log(e.code, sent > 0 && performance.now() - sent < 100))`
    const talk = lab.exec('ws', [process.execPath, '-e', program])
    const flows = async (): Promise<string> =>
      (await lab.exec('node', ['conntrack', '-L', '-p', 'tcp', '--dport', '8000', '--state', 'ESTABLISHED'])).stdout
    while (!(await flows()).includes('ASSURED')) await pause(20)
    await apply({ egress: [KEPT] })
    await apply(granted)
    expect(await flows()).toBe('')
    expect((await talk).stdout.trim()).toBe('ECONNRESET true')
    expect(await lab.ws.tcp({ host: OUT.git, port: 8000, say: 'new' })).toMatchObject({ outcome: 'connected' })
  })

  it('keeps a flow through many generations that grant it, in exact sets, ranges and wider prefixes', async () => {
    const number = await start(OUT.git)
    const before = await lab.out.tcpCounters()
    for (const grant of ['tcp 45.76.10.0/24 80', 'tcp 0.0.0.0/0 79-81', KEPT, `tcp ${OUT.git} 1-1000`, KEPT]) {
      await apply({ egress: [grant] })
      await pause(40)
    }
    const [now] = await downloads([number])
    expect(now).toMatchObject({ state: 'open' })
    expect(Date.now() - (now?.lastByteMs ?? 0)).toBeLessThan(150)
    expect((await lab.out.tcpCounters()).EstabResets).toBe(before.EstabResets)
    await lab.ws.stopDownload([number])
  })

  it('leaves what is live alone when a stage fails, and nothing of the failed one', async () => {
    const live = await nft.observe()
    const bad = sliceOf(generation + 1, BOTH)
    // Two grants of one element in one interval set: the kernel refuses the second.
    const twice = [grantOf('egress', 'tcp 45.76.10.0/24 80-90'), grantOf('egress', 'tcp 45.76.10.0/24 80-90')]
    const broken = structuredClone(bad) as unknown as { workspaces: { network: { egress: unknown[] } }[] }
    broken.workspaces[0]?.network.egress.push(...twice.map((grant) => ({ ...grant, ports: { from: 90, to: 70000 } })))
    await expect(nft.stage(broken as never)).rejects.toMatchObject({ code: 'NFT_STAGE' })
    const after = await nft.observe()
    expect(after.live).toEqual(live.live)
    expect(after.drift).toEqual([])
    const listed = await lab.exec('node', ['nft', 'list', 'chains'])
    expect(listed.stdout).not.toContain(`_g${generation + 1}`)
    expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
  })

  it('discards a staged generation without a trace, and refuses to commit it or an older one', async () => {
    const staged = await nft.stage(sliceOf(generation + 1, {}))
    expect((await lab.exec('node', ['nft', 'list', 'chains'])).stdout).toContain(`_g${generation + 1}`)
    expect((await nft.observe()).drift).toEqual([])
    await nft.discard(staged)
    expect((await lab.exec('node', ['nft', 'list', 'chains'])).stdout).not.toContain(`_g${generation + 1}`)
    await expect(nft.commit(staged)).rejects.toMatchObject({
      code: 'NFT_NOT_STAGED',
      says: [`generation ${generation + 1} is not staged, or no longer`],
    })
    await expect(nft.stage(sliceOf(generation - 1, {}))).rejects.toMatchObject({ code: 'NFT_STALE' })
    expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
  })

  it('repairs a generation under its own number', async () => {
    await lab.exec('node', ['nft', 'insert rule inet sluice forward_rules accept'])
    expect((await nft.observe()).drift).toEqual([
      'table inet sluice was changed: its chains, rules or sets are not the ones that were put there',
    ])
    await nft.apply(sliceOf(generation, BOTH))
    expect((await nft.observe()).drift).toEqual([])
    expect(await lab.ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'reset' })
  })

  it('finds a table that was put to sleep, whose every rule is still there, and wakes it', async () => {
    await lab.exec('node', ['nft', 'add table inet sluice { flags dormant; }'])
    expect((await nft.observe()).drift).toEqual([
      'table inet sluice was changed: its chains, rules or sets are not the ones that were put there',
    ])
    await nft.apply(sliceOf(generation, BOTH))
    expect((await nft.observe()).drift).toEqual([])
    expect(await lab.ws.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'reset' })
  })

  it('finds a rule whose set has other members, by name and number the same', async () => {
    const handle = async (): Promise<string> => {
      const { stdout } = await lab.exec('node', ['nft', '-a', 'list chain inet sluice refuse_named'])
      return /th dport \{ 53, .*goto f_dns # handle (\d+)/.exec(stdout)?.[1] ?? ''
    }
    const rule = 'meta l4proto { tcp, udp } th dport { 853 } goto f_dns'
    const changed = await lab.exec('node', [
      'nft',
      `replace rule inet sluice refuse_named handle ${await handle()} ${rule}`,
    ])
    expect(changed.status).toBe(0)
    expect((await nft.observe()).drift).toEqual([
      'table inet sluice was changed: its chains, rules or sets are not the ones that were put there',
    ])
    await nft.apply(sliceOf(generation, BOTH))
    expect([(await nft.observe()).drift, await handle()]).toEqual([[], expect.stringMatching(/^\d+$/)])
  })

  it('finds elements that others added or took away', async () => {
    const table = (await lab.exec('node', ['nft', 'list', 'sets'])).stdout
    const name = new RegExp(`set (w0_g${generation}[a-z]+_x4) `).exec(table)?.[1] ?? ''
    const edit = (verb: string, host: string) =>
      lab.exec('node', ['nft', `${verb} element inet sluice ${name} { ${host} . tcp . 80 }`])
    // The set is as large as its grants: there is no room for one more, only for another.
    expect(await edit('add', OUT.unlisted)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/too many|full|No space/i),
    })
    expect((await nft.observe()).drift).toEqual([])
    expect(await edit('delete', OUT.git)).toMatchObject({ status: 0 })
    expect(await edit('add', OUT.unlisted)).toMatchObject({ status: 0 })
    expect((await nft.observe()).drift).toEqual([`set ${name} does not hold the elements that were put there`])
    await lab.exec('node', ['nft', `add element inet sluice attached { "up0" }`])
    expect((await nft.observe()).drift).toContain('interface up0 is attached, and nobody attached it')
    await apply(BOTH)
    expect((await nft.observe()).drift).toEqual([])
  })

  it('counts by grant', async () => {
    await apply({ egress: [KEPT, 'tcp 45.76.10.0/24 8000-8100', `icmp-echo ${OUT.git}`] })
    await lab.ws.tcp({ host: OUT.git, port: 8050, say: 'hello' })
    await lab.ping('ws', OUT.git)
    const counters = new Map((await nft.observe()).counters.map((one) => [one.grant, one]))
    expect(counters.get(grantOf('egress', 'tcp 45.76.10.0/24 8000-8100').id)?.packets).toBeGreaterThan(3n)
    expect(counters.get(grantOf('egress', `icmp-echo ${OUT.git}`).id)).toMatchObject({ workspace: ID, packets: 2n })
    // What counted nothing is not listed.
    expect(counters.has(grantOf('egress', KEPT).id)).toBe(false)
  })

  describe('learned grants', () => {
    const learned = (address: string, over: object = {}) => ({
      workspace: ID,
      clause: clauseOf('git.example'),
      name: 'git.example',
      protocol: 'tcp' as const,
      address,
      port: 443,
      generation,
      expiresAtMs: Date.now() + 60_000,
      ...over,
    })
    const reach = (host: string) => lab.ws.tcp({ host, port: 443 })

    it('learns a grant, and only for the live generation and its clauses', async () => {
      const now = await apply({ names: ['git.example'] })
      expect(await reach(OUT.git)).toMatchObject({ outcome: 'reset' })
      expect(await nft.learn(now - 1, [learned(OUT.git)])).toBe(false)
      expect(await nft.learn(now, [learned(OUT.git, { clause: clauseOf('other.example') })])).toBe(false)
      expect(await nft.learn(now, [learned(OUT.git, { workspace: ID2 })])).toBe(false)
      expect(await nft.learn(now, [learned('no address')])).toBe(false)
      expect(await reach(OUT.git)).toMatchObject({ outcome: 'reset' })
      expect(await nft.learn(now, [learned(OUT.git), learned(OUT.git6)])).toBe(true)
      expect(await reach(OUT.git)).toMatchObject({ outcome: 'connected' })
      expect(await reach(OUT.git6)).toMatchObject({ outcome: 'connected' })
      expect(await lab.ws2.tcp({ host: OUT.git, port: 443 })).toMatchObject({ outcome: 'reset' })
      expect((await nft.observe()).live?.learned.map(({ address }) => address)).toEqual([OUT.git, OUT.git6])
    })

    it('never opens a reserved address', async () => {
      const now = await apply({ names: ['git.example'] })
      expect(await nft.learn(now, [learned(OUT.database)])).toBe(true)
      expect(await reach(OUT.database)).toMatchObject({ outcome: 'reset' })
    })

    it('stops new flows when it expires, leaves live ones, and can be learnt again with a longer life', async () => {
      const now = await apply({ names: ['git.example'] })
      expect(await nft.learn(now, [learned(OUT.git, { expiresAtMs: Date.now() + 400, port: 80 })])).toBe(true)
      const number = await start(OUT.git)
      await pause(700)
      expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'reset' })
      const [alive] = await downloads([number])
      expect(Date.now() - (alive?.lastByteMs ?? 0)).toBeLessThan(200)
      expect(await nft.learn(now, [learned(OUT.git, { port: 80, expiresAtMs: Date.now() + 300 })])).toBe(true)
      expect(await nft.learn(now, [learned(OUT.git, { port: 80 })])).toBe(true)
      await pause(500)
      expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
      await lab.ws.stopDownload([number])
    })

    it('takes a new end of life in place, later and earlier, and leaves no trial behind', async () => {
      const now = await apply({ names: ['git.example'] })
      const until = (ms: number) => nft.learn(now, [learned(OUT.git, { port: 80, expiresAtMs: Date.now() + ms })])
      expect([await until(300), await until(60_000)]).toEqual([true, true])
      await pause(500)
      expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
      expect(await until(300)).toBe(true)
      await pause(500)
      expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'reset' })
      expect((await lab.exec('node', ['nft', 'list', 'tables'])).stdout).not.toContain('trial')
    })

    it('is carried over with its clause, and cut with it for good', async () => {
      const now = await apply({ names: ['git.example'] })
      expect(await nft.learn(now, [learned(OUT.git, { port: 80 })])).toBe(true)
      const number = await start(OUT.git)
      const next = await apply({ names: ['git.example', 'b.example'] })
      await pause(150)
      const [carried] = await downloads([number])
      expect(Date.now() - (carried?.lastByteMs ?? 0)).toBeLessThan(150)
      expect((await nft.observe()).live?.learned).toMatchObject([{ address: OUT.git, generation: next }])
      expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
      await apply({ names: ['b.example'] })
      await pause(150)
      const [cut] = await downloads([number])
      await apply({ names: ['git.example'] })
      await pause(300)
      expect((await downloads([number]))[0]?.bytes).toBe(cut?.bytes)
      expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'reset' })
      expect((await nft.observe()).live?.learned).toEqual([])
      await lab.ws.stopDownload([number])
    })

    it('gives one address to the clause whose answer lasts longest', async () => {
      const now = await apply({ names: ['git.example', 'cdn.example'] })
      expect(await nft.learn(now, [learned(OUT.git, { port: 80, expiresAtMs: Date.now() + 5_000 })])).toBe(true)
      expect(
        await nft.learn(now, [learned(OUT.git, { port: 80, clause: clauseOf('cdn.example'), name: 'cdn.example' })]),
      ).toBe(true)
      const number = await start(OUT.git)
      await apply({ names: ['cdn.example'] })
      await pause(150)
      const [kept] = await downloads([number])
      expect(Date.now() - (kept?.lastByteMs ?? 0)).toBeLessThan(150)
      await lab.ws.stopDownload([number])
    })
  })

  it('suspends by itself when the bundle expires, cuts what ran, and goes on with the next one', async () => {
    await apply(BOTH, { ...BOTH, onExpiry: 'hold' }, Date.now() + 700)
    const number = await start(OUT.git)
    await pause(900)
    expect((await nft.observe()).live?.suspended).toEqual([ID])
    expect(await lab.ws.tcp({ host: OUT.git, port: 80, timeoutMs: 300 })).toMatchObject({ outcome: 'timeout' })
    expect(await lab.ws2.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
    const [stopped] = await downloads([number])
    await apply(BOTH)
    await pause(400)
    expect((await downloads([number]))[0]?.bytes).toBe(stopped?.bytes)
    expect(await lab.ws.tcp({ host: OUT.git, port: 80 })).toMatchObject({ outcome: 'connected' })
    await apply(BOTH, {}, Date.now() - 1)
    expect((await nft.observe()).live?.suspended).toEqual([ID, ID2])
    await lab.ws.stopDownload([number])
  })
})
