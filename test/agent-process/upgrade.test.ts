// A node goes from this release to the next one and back while traffic runs: a flow that stays granted does not notice, what is
// not granted never opens, and nothing that either release decided is lost. The next release writes its state in a form
// that this one cannot read (test/support/agent/next-release.ts).

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { nextRelease } from '../support/agent/next-release.js'
import { PROGRAM, RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const BOTH = [ID, ID2]
const PATIENT = 300_000

labSuite('a node between two releases', () => {
  let lab: Lab
  let agent: RunningAgent
  beforeEach(async () => {
    lab = await openLab()
  })
  afterEach(async () => {
    await agent?.close()
    await lab?.close()
  })

  it.each(['nftables', 'ebpf'])(
    'under %s goes forward and back, and traffic does not notice',
    {
      timeout: PATIENT,
    },
    async (backend) => {
      agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, '', backend)
      const next = nextRelease(agent.path('next-release'))
      await agent.publish(1, [OUT.git], BOTH)
      agent.start()
      await agent.told('active')
      const { number } = await lab.ws.download({ host: OUT.git, port: 443, rate: 50_000 })
      const flow = async () => (await lab.ws.downloads([number]))[0]
      const flows = async (): Promise<void> => {
        const at = (await flow())?.bytes ?? 0
        await until('more of the download', async () => ((await flow())?.bytes ?? 0) > at + 20_000)
      }
      const counters = await lab.ws.tcpCounters()
      const denied = prober(lab)
      try {
        expect(await agent.stop()).toBe(0)
        const here: number = (await agent.ask('migrate')).json.to

        // Forward: the next release brings the store forward and carries on.
        agent.program = next
        agent.start()
        expect((await agent.told('stands')).detail).toEqual({ state: 'as-it-was', generation: 2 })
        expect(existsSync(agent.path(join('state/copies', `format-${here}`, 'state.json')))).toBe(true)
        await flows()
        expect(await agent.ask('quarantine', 'set', ID2, '--reason', 'by the next release')).toMatchObject({ exit: 0 })
        await agent.publish(2, [OUT.git, OUT.inference], BOTH)
        await agent.told('active', ({ revision }) => revision === '2')
        await flows()
        const generation = (await agent.ask('status')).json.live.generation
        expect(await agent.stop()).toBe(0)

        // This release refuses what it cannot read, and touches nothing.
        agent.program = PROGRAM
        for (const words of [['status'], ['agent', '--config', 'agent.yaml'], ['migrate', '--to', String(here)]]) {
          const { exit, json } = await agent.ask(...words)
          expect([words[0], exit, json.error.code]).toEqual([words[0], 3, 'AGENT_STORE_NEWER'])
          expect(json.error.say).toContain(`it has format ${here + 1}, and this one reads formats up to ${here}`)
          expect(json.error.remedy).toContain('sluice migrate --to')
        }
        await flows()
        expect(await reach(lab, OUT.registry)).toBe('reset')

        // Back: the next release writes what this one reads.
        agent.program = next
        expect((await agent.ask('migrate', '--to', String(here))).json).toMatchObject({ from: here + 1, to: here })
        agent.program = PROGRAM
        agent.start()
        expect((await agent.told('stands')).detail).toEqual({ state: 'as-it-was', generation })
        await flows()
        const { json: standing } = await agent.ask('status')
        expect(standing.live.source.policyRevision).toBe('2')
        expect(standing.quarantines).toMatchObject([{ workspace: ID2, reason: 'by the next release' }])
        expect((await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 600 })).outcome).toBe('timeout')
        // The mark that the next release set holds: an older revision is refused.
        await agent.publish(1, [OUT.registry], BOTH)
        await agent.told('source-failed', ({ code }) => code === 'BUNDLE_COUNTER_REGRESSION')
        await flows()
      } finally {
        await denied.stop()
      }
      expect((await flow())?.state).toBe('open')
      const after = await lab.ws.tcpCounters()
      expect(after.EstabResets - counters.EstabResets).toBe(0)
      expect(denied.outcomes()).toEqual(['reset'])
      expect(denied.count()).toBeGreaterThan(50)
      expect(await agent.stop()).toBe(0)
      await agent.ask('uninstall', '--yes')
    },
  )
})

/** Tries what is not granted, again and again, until stopped. */
function prober(lab: Lab) {
  const seen = new Map<string, number>()
  let going = true
  const run = (async () => {
    const station = await lab.station('ws')
    while (going) {
      const { outcome } = await station.tcp({ host: OUT.registry, port: 80, timeoutMs: 5_000 })
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
      // Often, and not all that a core can do.
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  return {
    stop: async (): Promise<void> => {
      going = false
      await run
    },
    outcomes: () => [...seen.keys()],
    count: () => [...seen.values()].reduce((sum, one) => sum + one, 0),
  }
}
