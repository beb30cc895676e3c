// Real stacks through the software BlueField: a workspace and the outside world in namespaces, the card between them. What a
// client and a server see of a policy, of a change under traffic, of a quarantine, of a device reset and of an agent that is
// gone: never open. Everything here is emulated, and nothing is timed.

import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { DocaDriver } from '../../src/backends/doca-flow/driver.js'
import { lower } from '../../src/backends/doca-flow/lower.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { Plan } from '../../src/plan/model.js'
import { BlueField } from '../support/doca/bluefield.js'
import { type Cables, layCables, WEB } from '../support/doca/cables.js'
import { Station } from '../support/lab/station.js'
import { labSuite } from '../support/lab/suite.js'
import { egress, GATEWAY_MAC, planOf, WS } from '../support/plans.js'

const HTTP = 8050
const OTHER = 8060
const WEB_ONLY = planOf([egress('web', [WEB], 'tcp', [String(HTTP)])])
const RANGE = planOf([egress('range', ['93.184.0.0/16'], 'tcp', ['8000-8055']), egress('ping', [WEB], 'icmp-echo')])
const OTHERWISE = planOf([egress('other', [WEB], 'tcp', [String(OTHER)])])

labSuite('doca-flow between real stacks', () => {
  const card = BlueField.load()
  let cables: Cables
  let driver: DocaDriver
  let ws: Station
  let out: Station
  let generation = 0

  const make = async (plan: Plan): Promise<void> => {
    generation++
    const slice = sliceFor(plan, 'memory', generation)
    await driver.commit(await driver.stage(lower({ ...slice, workspaces: plan.workspaces })))
  }
  /** The Arm's own netdevice of the workspace: it is the gateway that answers ARP. */
  const gateway = (): void => {
    for (const args of [
      `link set pf0vf0 address ${GATEWAY_MAC} addrgenmode none up`,
      'addr add 10.9.0.1/24 dev pf0vf0',
    ])
      execFileSync('ip', args.split(' '))
  }
  const reaches = async (port: number): Promise<string> =>
    (await ws.httpGet({ host: WEB, port, timeoutMs: 1_500 })).outcome
  const bytesOf = async (number: number): Promise<number> => (await ws.downloads([number]))[0]?.bytes ?? -1
  /** Both ways by a grant of now: whatever was sent before has come or is lost. */
  const roundTrip = async (port: number): Promise<void> => expect(await reaches(port)).toBe('answered')

  beforeAll(async () => {
    cables = layCables(true)
    card.describe(cables.topology)
    driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: '' })
    ws = await Station.start(cables.ws)
    out = await Station.start(cables.out)
    await out.serveHttp([HTTP, OTHER])
    await make(WEB_ONLY)
    gateway()
  }, 120_000)
  afterAll(async () => {
    await ws.close()
    await out.close()
    await driver.close()
    cables.close()
  })

  it('answers ARP from the Arm, carries what is granted and nothing else', { timeout: 60_000 }, async () => {
    expect(await reaches(HTTP)).toBe('answered')
    expect(await reaches(OTHER)).toBe('timeout')
    await make(OTHERWISE)
    expect([await reaches(OTHER), await reaches(HTTP)]).toEqual(['answered', 'timeout'])
  })

  it('keeps a download that stays granted through changes of plan, and cuts it when it is not', {
    timeout: 60_000,
  }, async () => {
    await make(WEB_ONLY)
    // Fast enough that the kernel hands over segments of many at once.
    const { number } = await ws.download({ host: WEB, port: HTTP, rate: 20_000_000, timeoutMs: 10_000 })
    for (const plan of [RANGE, WEB_ONLY, RANGE]) {
      await make(plan)
      const before = await bytesOf(number)
      await expect.poll(() => bytesOf(number), { timeout: 20_000 }).toBeGreaterThan(before)
    }
    await make(OTHERWISE)
    await roundTrip(OTHER)
    const after = await bytesOf(number)
    await roundTrip(OTHER)
    expect(await bytesOf(number)).toBe(after)
    await ws.stopDownload([number])
  })

  it('silences a quarantined workspace, its open connections too, until it is lifted', {
    timeout: 60_000,
  }, async () => {
    await make(WEB_ONLY)
    await roundTrip(HTTP)
    await driver.flag(WS, 'quarantined', true)
    expect(await reaches(HTTP)).toBe('timeout')
    await make(RANGE)
    expect(await reaches(HTTP)).toBe('timeout')
    await driver.flag(WS, 'quarantined', false)
    await roundTrip(HTTP)
  })

  it('lets nothing pass after the device was reset, until a plan is applied again', { timeout: 60_000 }, async () => {
    card.fault('reset', 0)
    expect(await reaches(HTTP)).toBe('timeout')
    expect((await driver.observe()).drift).toEqual(['entries of the fence are gone from the device'])
    await make(WEB_ONLY)
    gateway()
    await roundTrip(HTTP)
  })

  it('belongs to one process of a namespace', async () => {
    const script = `
      const koffi = require('koffi')
      const emulator = koffi.load('build/doca/libdoca_emulator.so')
      const shim = koffi.load('build/doca/libsluice_doca.so')
      emulator.func('int doca_emulator_topology(const char *text)')(${JSON.stringify(cables.topology)})
      const device = Buffer.alloc(32)
      device.write('0000:03:00.0')
      device.writeUInt32LE(64, 16)
      console.log(shim.func('const char *sluice_doca_text(int32_t code)')(shim.func('int32_t sluice_doca_open(void *d)')(device)))`
    expect(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })).toBe('exists already\n')
  })

  it('stays closed when the agent is gone', { timeout: 60_000 }, async () => {
    await driver.close()
    expect([await reaches(HTTP), await reaches(OTHER)]).toEqual(['timeout', 'timeout'])
  })
})
