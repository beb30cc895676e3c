// Crash consistency: SIGKILL at random moments while releases are taken and workspaces quarantined, each followed by a
// restart that must be in the old state or the new, with an intact chain of events. SLUICE_KILLS says how often; the seed is
// printed with a failure.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { verifyJournal } from '../../src/audit/verify.js'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const KILLS = Number(process.env.SLUICE_KILLS ?? 30)
const SPAN_MS = 1_500

labSuite('SIGKILL at any moment', () => {
  let lab: Lab
  let agent: RunningAgent
  let seed = Number(process.env.SLUICE_SEED ?? 20_261_121)
  /** Numerical Recipes' linear congruential generator: enough to scatter moments. */
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  beforeAll(async () => {
    lab = await openLab()
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS)
  })
  afterAll(async () => {
    await agent?.close()
    await lab?.close()
  })

  it(`leaves the old state or the new, ${KILLS} times`, { timeout: 60_000 + KILLS * 30_000 }, async () => {
    // Odd revisions grant one host, even ones another: what is live can be told by packets.
    const granted = (revision: number) => (revision % 2 === 1 ? [OUT.git, OUT.registry] : [OUT.registry, OUT.git])
    let revision = 1
    await agent.publish(revision, [granted(revision)[0] ?? ''], [ID, ID2])
    agent.start()
    await agent.told('active')
    for (let kill = 1; kill <= KILLS; kill++) {
      const at = `kill ${kill}, seed ${seed}`
      const before = (await agent.ask('status')).json.live.source.policyRevision as string
      revision++
      await agent.publish(revision, [granted(revision)[0] ?? ''], [ID, ID2])
      const fence = random() < 0.3
      const quarantined = fence
        ? agent.ask('quarantine', 'set', ID2, '--reason', 'crash').catch(() => undefined)
        : undefined
      await new Promise((resolve) => setTimeout(resolve, random() * SPAN_MS))
      await agent.kill()
      const answered = await quarantined
      // Nothing of ours runs now: the fence is the old one or the new one, never open, never neither.
      const outcomes = async (): Promise<string> =>
        (await Promise.all([reach(lab, OUT.git), reach(lab, OUT.registry)])).join(' ')
      const alone = await outcomes()
      expect(['connected reset', 'reset connected'], at).toContain(alone)
      agent.start()
      const { detail } = await agent.told('stands')
      expect(['as-it-was', 'restored'], at).toContain(detail.state)
      const { json } = await until(`the fence to be whole (${at})`, async () => {
        const answer = await agent.ask('status')
        return answer.json.state === 'active' && answer
      })
      expect([before, String(revision)], at).toContain(json.live.source.policyRevision)
      await agent
        .told('active', (told) => told.revision === String(revision))
        .catch(async (error: unknown) => {
          // Taken before the kill: then it is live already, and the channel has no news.
          if ((await agent.ask('status')).json.live.source.policyRevision !== String(revision)) throw error
        })
      expect(await outcomes(), at).toBe(revision % 2 === 1 ? 'connected reset' : 'reset connected')
      const flags = (await agent.ask('status')).json.workspaces.find(
        (entry: { workspace: string }) => entry.workspace === ID2,
      ).flags
      if (answered?.exit === 0) expect(flags, at).toEqual(['quarantined'])
      if (flags.length > 0) expect((await agent.ask('quarantine', 'lift', ID2, '--reason', 'next')).exit, at).toBe(0)
      const chain = await verifyJournal(agent.path('events.ndjson'))
      expect(
        chain.findings.filter(({ kind }) => kind !== 'torn'),
        at,
      ).toEqual([])
    }
    expect(await agent.stop()).toBe(0)
    expect(await verifyJournal(agent.path('events.ndjson'))).toMatchObject({ intact: true })
  })
})
