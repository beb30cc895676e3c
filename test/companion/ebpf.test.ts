// A companion whose agent fences with eBPF: taps come with their machines and go with them, and neither a release nor another workspace
// waits for one that is not there.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../support/agent/running.js'
import { LabHost, SINK, sourceOf, workspaceOf } from '../support/companion/lab-host.js'
import { UPLINK } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'

const PATIENCE_MS = 600_000

labSuite('a companion over eBPF', () => {
  let lab: Lab
  let host: LabHost
  beforeAll(async () => {
    lab = await openLab()
    host = await LabHost.open(lab, 2, { backend: 'ebpf' })
  }, PATIENCE_MS)
  afterAll(async () => {
    await host?.close()
    await lab?.close()
  }, PATIENCE_MS)

  const states = async () => (await host.list()).map(({ state }) => state)

  it('starts one workspace after the other, and takes a narrower release while one is stopped', {
    timeout: PATIENCE_MS,
  }, async () => {
    for (const n of [0, 1]) {
      await host.change('create', n)
      await host.change('start', n)
    }
    expect(await states()).toEqual(['running', 'running'])
    await host.change('stop', 1)
    const sniffer = await lab.sniff('node', UPLINK.node.interface, 64)
    const sent = () =>
      sniffer.frames.filter(({ bytes, way }) => way === 'out' && bytes.subarray(26, 30).join('.') === sourceOf(0))
    await until('the workspace to push', () => sent().length > 20)
    // Nothing goes to the sink by UDP from then on.
    await host.agent.publish(2, [SINK], [0, 1].map(workspaceOf))
    await host.agent.told('active', ({ revision }) => revision === '2')
    const inForceAtMs = Date.now()
    await sniffer.settle(300, 10_000)
    expect(sent().at(-1)?.atMs).toBeLessThanOrEqual(inForceAtMs)
    await sniffer.close()
    expect((await host.agent.ask('status')).json.state).toBe('active')
    await host.change('start', 1)
    expect(await states()).toEqual(['running', 'running'])
  })
})
