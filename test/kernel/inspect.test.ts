// What evidence says of where the fence hangs, and what a quarantine cut, against what other tools say of the same kernel:
// bpftool for programs, tags and maps, nft for tables, chains and handles.

import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Anchor, Observed } from '../../src/backends/backend.js'
import { pinsOf } from '../../src/backends/ebpf/fence.js'
import { Native } from '../../src/backends/ebpf/native.js'
import { labPlan, ONE, openScene, type Scene, TWO } from '../support/ebpf/scene.js'
import { OUT, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { NftHarness, stateDirectory } from '../support/nftables/harness.js'
import { ID, sliceOf } from '../support/nftables/slices.js'
import { egress } from '../support/plans.js'

interface BpfProgram {
  readonly id: number
  readonly name: string
  readonly tag: string
  readonly map_ids?: readonly number[]
}
interface Link {
  readonly ifindex: number
}
/** `BPF_LINK_TYPE_NETFILTER`, which bpftool of this age has no word for. */
const NETFILTER = 10
const bpftool = <T>(...words: string[]): T =>
  JSON.parse(execFileSync('bpftool', ['-j', ...words], { encoding: 'utf8' })) as T
const FLOWS = 5

labSuite('ebpf, by the numbers of the kernel', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
    await scene.apply(labPlan([egress('git', [OUT.git], 'tcp', ['80', '443'])]))
  })
  afterAll(async () => {
    await scene?.close()
  })
  const anchorOf = async (workspace: string): Promise<Anchor> => {
    const found = (await scene.driver.inspect()).find((one) => one.workspace === workspace)
    if (!found) throw new Error(`no anchor of ${workspace}`)
    return found
  }

  it('names the hooks, programs, tags and maps that bpftool shows', async () => {
    const anchor = await anchorOf(ONE)
    expect([anchor.emulated, anchor.generation]).toEqual([false, 1])
    const own = anchor.hooks.filter(({ on }) => on !== '*')
    const [slot] = JSON.parse((await scene.lab.exec('node', ['ip', '-j', 'link', 'show', WS.slot])).stdout) as [Link]
    // What bpftool of this age does not show is the hook of a link: the name of the program stands for the direction.
    const shown = (['from', 'to'] as const).map((direction) => {
      const pin = `${pinsOf(Native.open())}/links/${slot.ifindex}-${direction}`
      const { prog_id: id } = bpftool<{ prog_id: number }>('link', 'show', 'pinned', pin)
      expect(bpftool<BpfProgram>('prog', 'show', 'id', String(id)).name).toBe(`fence_${direction}`)
      return [direction === 'from' ? 'tcx/ingress' : 'tcx/egress', `${WS.slot}#${slot.ifindex}`, id]
    })
    expect(own.map(({ hook, on, owner }) => [hook, on, owner.kind === 'program' ? owner.id : 0])).toEqual(shown)
    // Links of other network namespaces are listed too.
    const laid = bpftool<readonly { type: number | string; prog_id: number }[]>('link', 'show').filter(
      ({ type }) => type === NETFILTER || type === 'netfilter',
    )
    const floor = anchor.hooks.filter(({ on }) => on === '*')
    expect(floor.map(({ hook }) => hook)).toEqual([
      'netfilter/ipv4/prerouting',
      'netfilter/ipv4/postrouting',
      'netfilter/ipv6/prerouting',
      'netfilter/ipv6/postrouting',
    ])
    for (const { owner } of floor)
      expect(laid.map(({ prog_id: id }) => id)).toContain(owner.kind === 'program' ? owner.id : 0)
    expect(own).toHaveLength(2)
    const maps = new Set<number>()
    for (const { owner } of anchor.hooks) {
      if (owner.kind !== 'program') throw new Error('no program')
      const program = bpftool<BpfProgram>('prog', 'show', 'id', String(owner.id))
      expect(owner.tag).toBe(program.tag)
      for (const id of program.map_ids ?? []) maps.add(id)
    }
    const lasting = anchor.objects.filter(({ name }) => !name.includes('['))
    expect(new Set(lasting.map(({ id }) => Number(id)))).toEqual(maps)
    for (const { id, name } of lasting) expect(bpftool<{ name: string }>('map', 'show', 'id', id).name).toBe(name)
  })

  it('names the maps of the live generation, and others after a change', async () => {
    const inner = async () => (await anchorOf(TWO)).objects.filter(({ name }) => name.includes('['))
    const before = await inner()
    for (const { id } of before) expect(bpftool<{ id: number }>('map', 'show', 'id', id).id).toBe(Number(id))
    await scene.apply(labPlan([egress('git', [OUT.git], 'tcp', ['80', '443', '8000'])]))
    const after = await inner()
    expect((await anchorOf(TWO)).generation).toBe(2)
    expect(after.map(({ id }) => id).filter((id) => before.some((old) => old.id === id))).toEqual([])
  })

  it('counts the flows that a quarantine cut, and says when the last packet of them passed', async () => {
    const { lab, driver } = scene
    for (let i = 0; i < FLOWS; i++) await lab.ws.download({ host: OUT.git, port: 443, rate: 100_000 })
    await expect.poll(async () => (await driver.observe()).counters.length).toBeGreaterThan(0)
    const before = Date.now()
    await driver.flag(ONE, 'quarantined', true)
    const after = Date.now()
    const { flows, lastPacketAtMs } = await driver.cut(ONE)
    expect(flows).toBe(FLOWS)
    // They talk every few milliseconds; the clock of the kernel and Date.now() are rounded differently.
    expect(lastPacketAtMs).toBeGreaterThan(before - 5_000)
    expect(lastPacketAtMs).toBeLessThanOrEqual(after + 5)
    await driver.flag(ONE, 'quarantined', true)
    expect(await driver.cut(ONE)).toEqual({ flows: 0, lastPacketAtMs: { unknown: 'no flow was live' } })
    expect(await driver.cut(TWO)).toMatchObject({ flows: { unknown: 'this process set no flag' } })
    // More at once than calls can be under way.
    for (let i = 0; i < 600; i++) await driver.flag(ONE, 'quarantined', i % 2 === 0 || i === 599)
    expect(await driver.cut(ONE)).toHaveProperty('flows')
    expect(await driver.flagged()).toEqual(flagsOf(await driver.observe()))
    expect((await driver.flagged())?.quarantined).toEqual([ONE])
    await driver.flag(ONE, 'quarantined', false)
  })
})

labSuite('nftables, by the handles of the kernel', () => {
  let lab: Lab
  let nft: NftHarness
  const state = stateDirectory()
  beforeAll(async () => {
    lab = await openLab()
    nft = await NftHarness.start(lab.namespace('node'), state.path)
    await nft.apply(sliceOf(1, { egress: [`tcp ${OUT.git} 80`] }, {}))
  })
  afterAll(async () => {
    await nft?.end()
    await lab?.close()
    state.remove()
  })

  it('names tables, chains, sets and hooks with the handles that nft -a shows', async () => {
    const anchor = (await nft.inspect()).find(({ workspace }) => workspace === ID)
    if (!anchor) throw new Error('no anchor')
    expect([anchor.emulated, anchor.generation]).toEqual([false, 1])
    const shown = handlesOf((await lab.exec('node', ['nft', '-a', 'list', 'ruleset'])).stdout)
    const named = [
      ...anchor.objects.map(({ kind, name, id }) => [`${kind} ${name}`, id] as const),
      ...anchor.hooks.map(({ owner }) =>
        owner.kind === 'chain' ? ([`chain ${owner.name}`, String(owner.handle)] as const) : (['', ''] as const),
      ),
    ]
    for (const [name, handle] of named) expect([name, shown.get(name)]).toEqual([name, handle])
    expect(anchor.hooks.map(({ hook }) => hook)).toEqual(
      expect.arrayContaining(['inet/prerouting', 'inet/forward', 'inet/input', 'inet/output', 'netdev/ingress']),
    )
    expect(anchor.hooks.find(({ hook }) => hook === 'netdev/ingress')?.on).toMatch(new RegExp(`^${WS.slot}#\\d+$`))
    expect(anchor.objects.filter(({ kind }) => kind === 'table')).toHaveLength(4)
    expect(anchor.objects.filter(({ kind }) => kind !== 'table').length).toBeGreaterThan(3)
  })

  it('counts the flows that a quarantine cut, and knows no time of their last packet', async () => {
    for (let i = 0; i < FLOWS; i++) await lab.ws.download({ host: OUT.git, port: 80, rate: 100_000 })
    await nft.flag(ID, 'quarantined', true)
    expect(await nft.cut(ID)).toEqual({
      flows: FLOWS,
      lastPacketAtMs: { unknown: 'conntrack keeps no time of the last packet' },
    })
    expect(await nft.flagged()).toEqual(flagsOf(await nft.observe()))
    expect((await nft.flagged())?.quarantined).toEqual([ID])
    await nft.flag(ID, 'suspended', true)
    expect(await nft.flagged()).toEqual(flagsOf(await nft.observe()))
    await nft.uninstall()
    expect(await nft.flagged()).toBeNull()
  })
})

/** What `flagged` says, of what `observe` says. */
function flagsOf({ live }: Observed): unknown {
  if (!live) return null
  const { workspaces, quarantined, suspended, sessions } = live
  return { workspaces, quarantined, suspended, sessions }
}

/** Every object of a listing with its handle: `table inet sluice`, `chain inet sluice hook_forward`. */
function handlesOf(listing: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  let table = ''
  for (const line of listing.split('\n')) {
    const match = /^\s*(table|chain|set|map|counter) (\S+(?: \S+)?) \{.*# handle (\d+)$/.exec(line)
    if (!match) continue
    const [, kind = '', name = '', handle = ''] = match
    if (kind === 'table') table = name
    found.set(kind === 'table' ? `table ${name}` : `${kind} ${table} ${name}`, handle)
  }
  return found
}
