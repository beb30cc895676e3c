// Observe, suggest, enforce: a running agent observes what a small workload does (names asked of the mediator, HTTP to two of
// them, a native connection, an address without a name), `policy suggest` makes a policy of the trail, it is checked, signed and
// published, and then that traffic passes and nothing else of the demo's probes does. And the row "observe mode" of the failure table.

import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Scene } from '../../scripts/demo/probe.js'
import { PROBES } from '../../scripts/demo/probes.js'
import { RunningAgent, until } from '../support/agent/running.js'
import { hasUnbound, type Resolver, startResolver } from '../support/dns/resolver.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, SLOTS } from './nodes.js'

const HTTP = '127.0.0.1:9467'
const PATIENT = 180_000
const REASON = 'observed.no-grant'

/** What the workload does, as the demo's table names it; all of it nothing that the first policy grants. */
const WORKLOAD: readonly string[] = ['HTTP git.example, IPv4', 'ssh git.example, IPv4', 'HTTP registry.example']

labSuite('observe, suggest, enforce', () => {
  if (!hasUnbound()) {
    it('needs unbound', (context) => context.skip('unbound or ldnsutils is not installed'))
    return
  }
  for (const backend of ['nftables', 'ebpf'] as const)
    describe(backend, () => {
      let lab: Lab
      let resolver: Resolver
      let agent: RunningAgent
      let scene: Scene
      beforeAll(async () => {
        lab = await openLab()
        const ports = { port: 53, dotPort: 8853, authorityPort: 5300 }
        resolver = await startResolver({ namespace: lab.namespace('out'), address: UPLINK.out.v4, ...ports })
        lab.hosts('ws', {
          'git.example': [OUT.git, OUT.git6],
          'registry.example': [OUT.registry],
          'other.example': [OUT.unlisted, OUT.unlisted6],
          'metadata.example': [OUT.metadata, OUT.metadata6],
        })
        const node = await lab.station('node')
        await node.serveTcpEcho([22])
        await lab.ws.serveTcpEcho([22, 8080])
        await lab.ws.serveUdpEcho([WS.v4], [5000])
        await lab.ws2.serveTcpEcho([22])
        const [sender, outside] = [await lab.sender('ws', WS.inside), await lab.sniff('out', UPLINK.out.interface)]
        scene = { lab, node, sender, outside, gateway: WS.slot }
        const more = `dns: {upstreams: ["udp://${UPLINK.out.v4}"]}\nhttp: "${HTTP}"\n`
        agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, more, backend)
      }, PATIENT)
      afterAll(async () => {
        await agent?.ask('uninstall', '--yes', '--config', 'agent.yaml')
        await agent?.close()
        await resolver?.close()
        await lab?.close()
      }, PATIENT)

      const get = async (path: string): Promise<string> => {
        const program = `fetch('http://${HTTP}${path}').then((reply) => reply.text()).then((text) => process.stdout.write(text))`
        return (await lab.exec('node', [process.execPath, '-e', program])).stdout
      }
      const dig = async (name: string): Promise<string> => {
        const { stdout } = await lab.exec('ws', ['dig', `@${WS.gateway4}`, '+tries=1', '+time=8', '+nocookie', name])
        return /status: (\w+)/.exec(stdout)?.[1] ?? 'none'
      }
      const work = async (): Promise<string[]> => {
        for (const name of ['git.lab.example', 'registry.lab.example'])
          await until(`an answer about ${name}`, async () => (await dig(name)) === 'NOERROR')
        const outcomes: string[] = []
        for (const probe of PROBES)
          if (WORKLOAD.includes(probe.name)) outcomes.push(`${probe.name}: ${await probe.run(scene)}`)
        const bare = await lab.ws.tcp({ host: OUT.unlisted, port: 8080, timeoutMs: 2_000 })
        return [...outcomes, `no name: ${bare.outcome}`]
      }
      const DONE = [...WORKLOAD.map((name) => `${name}: allowed`), 'no name: connected']

      const seen = () =>
        new Set(
          agent
            .events()
            .filter(({ status_code: code }) => code === REASON)
            .map(({ message = '' }) => / > (.*):/.exec(message)?.[1] ?? ''),
        )
      const expected = [
        `${OUT.git} port 443`,
        `${OUT.git} port 22`,
        `${OUT.registry} port 443`,
        `${OUT.unlisted} port 8080`,
      ]
      const recorded = () =>
        expect.poll(() => expected.filter((one) => !seen().has(one)), { timeout: 50_000, interval: 100 }).toEqual([])

      it('observe mode: relaxes the last refusal alone, until its end, and says so everywhere', {
        timeout: PATIENT,
      }, async () => {
        const untilMs = Math.ceil((Date.now() + 3_600_000) / 1000) * 1000
        const ends = new Date(untilMs).toISOString().replace('.000Z', 'Z')
        const extra = `observe:\n  until: ${ends}\n  names: [git.lab.example, registry.lab.example]\n`
        await agent.publish(1, [OUT.inference], [ID], { extra })
        agent.start()
        await agent.told('active')
        await agent.told('observe-begun', ({ workspace, until: end }) => workspace === ID && end === ends)
        expect(await work()).toEqual(DONE)
        expect(await dig('other.lab.example')).toBe('REFUSED')
        for (const [host, port] of [
          [OUT.database, 5432],
          [OUT.metadata, 80],
          [OUT.unlisted, 853],
        ] as const)
          expect(await lab.ws.tcp({ host, port, timeoutMs: 2_000 })).toMatchObject({ outcome: 'reset' })
        const { json } = await agent.ask('status', '--config', 'agent.yaml')
        expect(json.workspaces.map((at: { observedUntilMs?: number }) => at.observedUntilMs)).toEqual([
          untilMs,
          undefined,
        ])
        expect(await get('/readyz')).toBe('active\nobserved, not denied by default: 1 of 2 workspaces\n')
        expect(await get('/metrics')).toContain(`sluice_observe_until_seconds{workspace="${ID}"} ${untilMs / 1000}`)
        // What a killed agent had not written yet, nobody tells again.
        await recorded()
        // A restarted agent says it again, and changes nothing.
        await agent.kill()
        expect(await lab.ws.tcp({ host: OUT.unlisted, port: 8080, timeoutMs: 2_000 })).toMatchObject({
          outcome: 'connected',
        })
        agent.start()
        await agent.told('observed', ({ workspace, until: end }) => workspace === ID && end === ends)
      })

      it('what was seen becomes a policy that allows it and nothing else', { timeout: PATIENT }, async () => {
        const suggested = await agent.ask('policy', 'suggest', '--workspace', ID, '--config', 'agent.yaml')
        expect(suggested.exit, suggested.stderr).toBe(0)
        expect(suggested.json.rules.map((rule: { host: string; ports: number[] }) => [rule.host, rule.ports])).toEqual([
          ['git.lab.example', [22, 443]],
          ['registry.lab.example', [443]],
          [OUT.unlisted, [8080]],
        ])
        writeFileSync(agent.path('suggested.yaml'), suggested.json.policy)
        expect(await agent.ask('policy', 'check', 'suggested.yaml')).toMatchObject({ exit: 0, json: { notes: [] } })
        await agent.must(`bundle init --from suggested.yaml --out enforced --workspace ${ID} --name enforced`)
        const times = `--not-before ${new Date(Date.now() - 60_000).toISOString()} --expires ${new Date(Date.now() + 86_400_000).toISOString()}`
        await agent.must(
          `bundle sign enforced --id node --author keys/author.key --release keys/release.key --revision 2 --audience fleet.example/dev ${times}`,
        )
        await agent.must('bundle push enforced --to pub --channel stable')
        await agent.told('active', ({ revision }) => revision === '2')
        await agent.told('observe-ended', ({ reason }) => reason === 'replaced')
        expect(await work()).toEqual(DONE)
        expect(await get('/readyz')).toBe('active\n')
        const passed: string[] = []
        for (const probe of PROBES) if ((await probe.run(scene)) === 'allowed') passed.push(probe.name)
        expect(passed).toEqual(WORKLOAD)
        // What the first policy granted and nobody used is gone as well.
        expect(await lab.ws.tcp({ host: OUT.inference, port: 80, timeoutMs: 2_000 })).toMatchObject({
          outcome: 'reset',
        })
        expect(await lab.ws.tcp({ host: OUT.unlisted, port: 443, timeoutMs: 2_000 })).toMatchObject({
          outcome: 'reset',
        })
      })
    })
})
