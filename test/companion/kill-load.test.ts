// The kill switch under load: workspaces that push datagrams through their taps are killed through the companion's own interface, and
// what leaves the node is captured at its uplink with the kernel's stamps. No octet of a workspace leaves after the time that the report
// gives for its fence. SLUICE_KILLS says how many kills (100 for the figures in src/companion/README.md).

import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../support/agent/running.js'
import { LabHost, sourceOf, workspaceOf } from '../support/companion/lab-host.js'
import { UPLINK } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'

const SIZE = 4
const KILLS = Number(process.env.SLUICE_KILLS ?? 4)
const all = Array.from({ length: SIZE }, (_, n) => n)

const sourceIn = (frame: Uint8Array): string =>
  frame[12] === 8 && frame[13] === 0 ? [...frame.subarray(26, 30)].join('.') : ''

labSuite('the kill switch', () => {
  let lab: Lab
  let host: LabHost
  beforeAll(async () => {
    lab = await openLab()
    host = await LabHost.open(lab, SIZE)
    for (const n of all) await host.change('create', n)
  }, 600_000)
  afterAll(async () => {
    await host?.close()
    await lab?.close()
  }, 600_000)

  it('lets no octet out after the time of its report', { timeout: 3_600_000 }, async () => {
    const fences: number[] = []
    const wholes: number[] = []
    const cuts: number[] = []
    let frames = 0
    while (fences.length < KILLS) {
      const sniffer = await lab.sniff('node', UPLINK.node.interface, 64)
      for (const n of all) await host.lift(n)
      await Promise.all(all.map((n) => host.change('start', n)))
      const sent = (n: number) =>
        sniffer.frames.filter(({ bytes, way }) => way === 'out' && sourceIn(bytes) === sourceOf(n))
      await until('every workspace to push', () => all.every((n) => sent(n).length > 20))
      // One alone, then everything that is left.
      const reports = [await host.kill(0), await host.kill()]
      // What was captured may come later than the answer.
      await sniffer.settle(300, 3_000)
      for (const { partial, workspaces, elapsedMs, askedAtMs } of reports) {
        expect(workspaces.flatMap(({ steps }) => steps.filter(({ outcome }) => outcome !== 'done'))).toEqual([])
        expect(partial).toBe(false)
        wholes.push(elapsedMs)
        for (const { workspace, fencedAtMs, steps } of workspaces) {
          const n = all.find((one) => workspaceOf(one) === workspace) ?? -1
          const seen = sent(n)
          frames += seen.length
          const last = seen.at(-1)?.atMs ?? 0
          expect(fencedAtMs).not.toBeNull()
          expect(last, `${workspace} after its fence`).toBeLessThanOrEqual(fencedAtMs ?? 0)
          cuts.push(last - askedAtMs)
          const fence = steps.find(({ step }) => step === 'fence')
          // A receipt of the agent stands in it: the counters stood still before it was signed.
          const [, payload = ''] = (fence?.receipt ?? '').split('.')
          const receipt = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
            workspace: string
            quietFromMs: number
          }
          expect(receipt).toMatchObject({ workspace, quietFromMs: expect.any(Number) })
          fences.push(fence?.elapsedMs ?? Number.NaN)
        }
      }
      await sniffer.close()
      expect(await host.left()).toMatchObject({ taps: [], pushers: [], attached: [] })
    }
    if (process.env.SLUICE_KILLS !== undefined)
      console.log(
        `${fences.length} kills, ${frames} frames; asked to last octet ms ${spread(cuts)}; fence answered ms ${spread(fences)}; whole ms ${spread(wholes)}`,
      )
  })

  it('works when the agent is gone, says what was not done, and fences when it is back', {
    timeout: 600_000,
  }, async () => {
    await host.lift(1)
    await host.change('start', 1)
    await host.agent.kill()
    const report = await host.kill(1)
    expect(report.partial).toBe(true)
    const [killed] = report.workspaces
    expect(killed).toMatchObject({ state: 'killed', fencedAtMs: null, owed: ['fence', 'detach'] })
    expect(killed?.steps.map(({ step, outcome }) => `${step} ${outcome === 'done'}`)).toEqual([
      'fence false',
      'end true',
      'sessions true',
      'detach false',
      'unplug true',
    ])
    expect(host.pushers()).toEqual([])
    await expect(host.change('start', 1)).rejects.toMatchObject({ code: 'WORKSPACE_OWED' })
    host.agent.start()
    await until('what is owed to be done', async () => {
      const listed = (await host.list()).find(({ profile }) => profile.workspace === workspaceOf(1))
      return listed?.owed.length === 0
    })
    await expect(host.change('start', 1)).rejects.toMatchObject({
      code: 'WORKSPACE_STEP',
      cause: { message: expect.stringContaining('WORKSPACE_QUARANTINED') },
    })
  })
})

const spread = (list: readonly number[]): string => {
  const sorted = [...list].sort((a, b) => a - b)
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1)
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`
}
