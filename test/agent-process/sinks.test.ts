// The sinks of a running agent: a file and a receiver that dies and comes back. Enforcement waits for neither, the trail says
// when one failed and how far everything is, and at the end what they have is what was journalled, kills included.

import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Receiver } from '../support/agent/receiver.js'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const PORT = 8088
const HTTP = '127.0.0.1:9465'
const CONFIG = `http: "${HTTP}"
heartbeat_seconds: 1
sinks:
  - {name: archive, kind: file, path: archive/events.ndjson, rotate_bytes: 16384, keep_files: 1000}
  - {name: siem, kind: http, url: "http://127.0.0.1:${PORT}/"}
`
interface Sink {
  readonly name: string
  readonly state: string
  readonly lag: number
  readonly delivered: number
  readonly error?: string
}
interface Told {
  readonly status_code?: string
  readonly unmapped?: { readonly sink?: string; readonly sinks?: readonly { readonly sink: string }[] }
}

labSuite('sinks of a running agent', () => {
  let lab: Lab
  let agent: RunningAgent
  let receiver: Receiver
  beforeAll(async () => {
    lab = await openLab()
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, CONFIG)
    receiver = new Receiver(lab.namespace('node'), PORT, agent.path('received.ndjson'))
    await receiver.start()
    await agent.publish(1, [OUT.git], [ID, ID2])
    agent.start()
    await agent.told('active')
  }, 180_000)
  afterAll(async () => {
    await receiver?.stop()
    await agent?.close()
    await lab?.close()
  }, 60_000)

  const sinks = async (): Promise<readonly Sink[]> => (await agent.ask('status')).json.sinks as readonly Sink[]
  const sink = async (name: string): Promise<Sink | undefined> => (await sinks()).find((one) => one.name === name)
  const told = (code: string): Promise<Told> =>
    until(`the trail to say ${code}`, () => (agent.events() as Told[]).find((event) => event.status_code === code))

  it('get what happens, and heartbeats say how far each is', async () => {
    await until('both to have something', async () => (await sinks()).every(({ delivered }) => delivered > 5))
    expect(await reach(lab)).toBe('connected')
    const beat = await until('a heartbeat with both', () =>
      (agent.events() as Told[]).find(({ status_code, unmapped }) => status_code === 'heartbeat' && unmapped?.sinks),
    )
    expect(beat.unmapped?.sinks?.map((one) => one.sink)).toEqual(['archive', 'siem'])
    const { generation } = (await agent.ask('status')).json.live
    const digest = expect.stringMatching(/^sha256:[0-9a-f]{64}$/)
    expect(beat.unmapped).toMatchObject({
      generation,
      bundle_digest: digest,
      lost: 0,
      last_sequence: expect.any(Number),
    })
  })

  it('one that is gone: a policy is applied all the same, the other goes on, and the trail says so once', async () => {
    await receiver.stop()
    await agent.publish(2, [OUT.registry], [ID, ID2])
    await agent.told('active', ({ revision }) => revision === '2')
    expect([await reach(lab, OUT.registry), await reach(lab)]).toEqual(['connected', 'reset'])
    expect((await told('sink.failing')).unmapped?.sink).toBe('siem')
    expect(await agent.told('sink-failing')).toMatchObject({ level: 'warning', detail: { sink: 'siem', discarded: 0 } })
    const gone = await sink('siem')
    expect(gone).toMatchObject({ state: 'failing', error: expect.stringContaining('ECONNREFUSED') })
    expect((await sink('archive'))?.state).not.toBe('failing')
    const program = `fetch('http://${HTTP}/metrics').then((reply) => reply.text()).then((text) => process.stdout.write(text))`
    const { stdout } = await lab.exec('node', [process.execPath, '-e', program])
    expect(stdout).toMatch(/^sluice_sink_failing\{sink="siem"\} 1$/m)
    expect(stdout).toMatch(/^sluice_sink_failing\{sink="archive"\} 0$/m)
    await receiver.start()
    await told('sink.recovered')
    expect((agent.events() as Told[]).filter(({ status_code }) => status_code === 'sink.failing')).toHaveLength(1)
  }, 120_000)

  it('an agent that is killed leaves nothing out, and what came again is told apart', async () => {
    for (let revision = 3; revision < 7; revision++) {
      await agent.publish(revision, [OUT.git], [ID, ID2])
      await agent.told('active', (detail) => detail.revision === String(revision))
      await agent.kill()
      agent.start()
      await agent.told('stands')
    }
    await until('everything', async () => (await sinks()).every(({ state }) => state === 'waiting'))
    expect(await agent.stop()).toBe(0)
    const words = ['audit', 'reconcile', '--sink', 'siem', '--received', 'received.ndjson']
    for (const asked of [words, ['audit', 'reconcile', '--sink', 'archive']]) {
      const { exit, json } = await agent.ask(...asked)
      expect([exit, json.sinks]).toEqual([0, [expect.objectContaining({ agrees: true })]])
      const [{ journalled, held, sink: at }] = json.sinks
      expect(held).toMatchObject({ first: 1, last: journalled, missing: 0, foreign: 0, outOfOrder: 0, older: 0 })
      expect(at).toMatchObject({ sequence: journalled, lag: 0, discarded: 0, dead: 0, state: 'stopped' })
      expect(held.matched).toBe(journalled)
    }
    // The file and its cursor agree after a kill: nothing is in it twice.
    const archived = readFileSync(agent.path('archive/events.ndjson'), 'utf8')
    expect(archived.endsWith('\n')).toBe(true)
    expect((await agent.ask('audit', 'reconcile', '--sink', 'archive')).json.sinks[0].held.repeated).toBe(0)
  }, 180_000)
})
