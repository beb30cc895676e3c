// A real agent on a card, in the laboratory: `doca-flow` on the software BlueField. The pipes go with the process that has the
// card, so a kill or a reset stops traffic, and nothing ever opens; what comes back is what was on record, and the trail says
// how long nothing passed. Everything here is emulated.

import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { verifyJournal } from '../../src/audit/verify.js'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { FUNCTIONS, insertCard, plugIn, resetCard, unplug } from '../support/lab/card.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, reach, SLOTS } from './nodes.js'

const GRANTED = OUT.git
const OTHER = OUT.unlisted

labSuite('an agent on a card', () => {
  let lab: Lab
  let agent: RunningAgent

  beforeAll(async () => {
    execFileSync('make', ['-s', '-f', 'doca-shims/Makefile'], { cwd: repositoryPath(''), stdio: 'inherit' })
    plugIn()
    lab = await openLab()
    await insertCard(lab)
    const [{ representor, vuid }] = FUNCTIONS
    const slots = SLOTS.slice(0, 1).map((at) => ({ ...at, slot: representor, vuid }))
    agent = await RunningAgent.prepare(lab.namespace('node'), slots, '', 'doca-flow')
    await agent.publish(1, [GRANTED], [ID])
    agent.start()
    await agent.told('active')
  }, 120_000)
  afterAll(async () => {
    await agent?.close()
    await lab?.close()
    unplug()
  })

  const outcomes = async (): Promise<string[]> => [await reach(lab, GRANTED), await reach(lab, OTHER)]
  /** How long each repair says that nothing was enforced, newest last. */
  const outages = (): number[] =>
    agent.events().flatMap((event) => {
      if (event.status_code !== 'drift.repaired') return []
      return [(event as unknown as { unmapped: { elapsed_ms: number } }).unmapped.elapsed_ms]
    })
  const back = (): Promise<true> =>
    until('the granted address to answer', async () => (await reach(lab, GRANTED)) === 'connected')

  it('carries what is granted and nothing else', { timeout: 60_000 }, async () => {
    expect(await outcomes()).toEqual(['connected', 'timeout'])
  })

  it('lets nothing pass once it was killed, and builds what is on record anew', { timeout: 120_000 }, async () => {
    const { number } = await lab.ws.download({ host: GRANTED, port: 80, rate: 500_000 })
    const bytes = async (): Promise<number> => (await lab.ws.downloads([number]))[0]?.bytes ?? -1
    await until('the download to run', async () => (await bytes()) > 0)
    await agent.kill()
    const darkMs = Date.now()
    const stopped = await bytes()
    expect(await outcomes()).toEqual(['timeout', 'timeout'])
    expect(await bytes()).toBe(stopped)
    const startMs = Date.now()
    agent.start()
    expect((await agent.told('stands')).detail).toMatchObject({ state: 'restored', generation: 2 })
    await back()
    expect(await reach(lab, OTHER)).toBe('timeout')
    // Connections went with the process that tracked them: none goes on without having begun again.
    expect(await bytes()).toBe(stopped)
    await lab.ws.stopDownload([number])
    // From when it was last seen whole, which was before the kill, until it was again.
    const [outage = 0] = await until('the trail to tell of the outage', () => outages().length === 1 && outages())
    expect(outage).toBeGreaterThanOrEqual(startMs - darkMs)
    expect(await verifyJournal(agent.path('events.ndjson'))).toMatchObject({ findings: [] })
  })

  it('keeps a quarantine through a kill', { timeout: 120_000 }, async () => {
    expect((await agent.ask('quarantine', 'set', ID, '--reason', 'test')).exit).toBe(0)
    expect(await outcomes()).toEqual(['timeout', 'timeout'])
    await agent.kill()
    agent.start()
    await agent.told('stands')
    expect(await outcomes()).toEqual(['timeout', 'timeout'])
    expect((await agent.ask('quarantine', 'lift', ID, '--reason', 'test')).exit).toBe(0)
    await back()
    expect(await reach(lab, OTHER)).toBe('timeout')
  })

  it('denies when the card was reset under it, finds out, and rebuilds', { timeout: 120_000 }, async () => {
    const before = outages().length
    await resetCard(lab)
    expect(await reach(lab, OTHER)).toBe('timeout')
    await agent.told('drift')
    await agent.told('repair')
    await back()
    expect(await reach(lab, OTHER)).toBe('timeout')
    expect((await agent.ask('status')).json).toMatchObject({ state: 'active', drift: [] })
    await until('the trail to tell of the repair', () => outages().length > before)
    const findings = agent.events().filter((event) => event.status_code === 'drift')
    expect(findings.map(({ message }) => message)).toEqual([
      'What enforces the policy was changed from outside: doca-flow: entries of the fence are gone from the device',
    ])
    expect(await verifyJournal(agent.path('events.ndjson'))).toMatchObject({ findings: [] })
  })

  it('stops traffic when it is stopped, and says so when it is back', { timeout: 120_000 }, async () => {
    expect(await agent.stop()).toBe(0)
    expect(await outcomes()).toEqual(['timeout', 'timeout'])
    agent.start()
    await agent.told('stands')
    await back()
  })
})
