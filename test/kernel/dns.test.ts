// Names in the kernel: a fenced namespace whose only resolver is the mediator, a real resolver behind it, and both backends that
// learn. A client that resolves and connects in the same turn never meets a fence that is not open yet.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasUnbound } from '../support/dns/resolver.js'
import { OUT, WS } from '../support/lab/addresses.js'
import { command } from '../support/lab/command.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import { type Mediate, type MediatedLab, openMediatedLab, type Rule } from '../support/mediated-lab.js'

const RACES = Number(process.env.RACES ?? 300)

const RULES: readonly Rule[] = [
  { host: 'git.lab.example', ports: [443] },
  { host: 'registry.lab.example', ports: [443] },
  { host: 'alias2.lab.example', ports: [8080] },
  { host: 'chain0.lab.example', ports: [443] },
  { host: 'mixed.lab.example', ports: [443] },
  { host: 'database.lab.example', ports: [5432] },
  { host: 'metadata.lab.example', ports: [443] },
  { host: 'service.lab.example', ports: [443] },
  { host: 'many.lab.example', ports: [443] },
  { host: 'zero.lab.example', ports: [443] },
  { host: 'cdn-a.lab.example', ports: [80] },
  { host: '*.wild.lab.example', ports: [443] },
  { host: 'rotate.live.example', ports: [443] },
]

labSuite('names in the kernel', () => {
  if (!hasUnbound()) {
    it('needs unbound', (context) => context.skip('unbound or ldnsutils is not installed'))
    return
  }
  describe.each(['nftables', 'ebpf'])('%s', (backend) => {
    let at: MediatedLab
    let mediator: Mediate
    beforeAll(async () => {
      at = await openMediatedLab(backend, 4)
      await at.apply(RULES, { delegate: ['shared-address'] })
      mediator = await at.mediate()
    }, 180_000)
    afterAll(() => at.close(), 60_000)

    const connects = async (host: string, port: number): Promise<string> =>
      (await at.lab.ws.tcp({ host, port, timeoutMs: 5000 })).outcome

    it('an address is refused until a granted name has led to it, and then open for its port alone', async () => {
      expect(await connects(OUT.git, 443)).toBe('reset')
      expect(await at.dig('git.lab.example')).toMatchObject({
        status: 'NOERROR',
        answers: [`git.lab.example. 60 A ${OUT.git}`],
      })
      expect(await connects(OUT.git, 443)).toBe('connected')
      expect(await connects(OUT.git, 80)).toBe('reset')
      expect(await at.dig('git.lab.example', 'AAAA')).toMatchObject({ status: 'NOERROR' })
      expect(await connects(OUT.git6, 443)).toBe('connected')
      expect(await connects(OUT.unlisted, 443)).toBe('reset')
    }, 60_000)

    it('answers what it should and nothing else', async () => {
      expect((await at.dig('unlisted.lab.example')).status).toBe('REFUSED')
      expect((await at.dig('git.lab.example', 'TXT')).status).toBe('REFUSED')
      expect(await at.dig('service.lab.example', 'HTTPS')).toMatchObject({ status: 'NOERROR', answers: [] })
      expect((await at.dig('alias2.lab.example')).answers).toEqual([
        expect.stringMatching(/^alias2\.lab\.example\. \d+ CNAME alias\.lab\.example\.$/),
        expect.stringMatching(/^alias\.lab\.example\. \d+ CNAME git\.lab\.example\.$/),
        expect.stringMatching(/^git\.lab\.example\. \d+ A 45\.76\.10\.10$/),
      ])
      expect((await at.dig('chain0.lab.example')).status).toBe('SERVFAIL')
      expect((await at.dig('database.lab.example')).status).toBe('SERVFAIL')
      expect((await at.dig('metadata.lab.example')).status).toBe('SERVFAIL')
      expect((await at.dig('mixed.lab.example')).answers).toEqual([`mixed.lab.example. 60 A ${OUT.git}`])
      expect((await at.dig('zero.lab.example')).answers).toEqual([`zero.lab.example. 1 A ${OUT.git}`])
    }, 60_000)

    it('an answer that does not fit a datagram comes over TCP, with no more than was granted', async () => {
      const cut = await at.dig('many.lab.example', '+ignore', '+bufsize=512')
      expect(cut).toMatchObject({ status: 'NOERROR', answers: [] })
      expect(cut.flags).toContain('tc')
      const whole = await at.dig('many.lab.example', '+tcp')
      expect(whole.answers).toHaveLength(32)
      for (const line of whole.answers.slice(0, 3)) expect(line).toMatch(/^many\.lab\.example\. \d+ A 45\.77\./)
    }, 60_000)

    it('a wildcard has a budget, and what is over is not asked of anybody', async () => {
      const seen: string[] = []
      for (let i = 0; i < 6; i++) seen.push((await at.dig(`n${i}.wild.lab.example`)).status)
      expect(seen).toEqual(['NOERROR', 'NOERROR', 'NOERROR', 'NOERROR', 'REFUSED', 'REFUSED'])
      expect(at.resolver.asked.filter((line) => line.includes('n5.'))).toEqual([])
    }, 60_000)

    it('other resolvers are out of reach', async () => {
      const other = await at.dig(`@${OUT.git}`, 'git.lab.example', '+time=2')
      expect(other.status).toMatch(/^none/)
    }, 60_000)

    it(`a client that resolves and connects at once, ${RACES} times: no duplicate SYN, no failure`, async () => {
      const sniffer = await at.lab.sniff('node', WS.slot, 96)
      const before = await at.lab.ws.tcpCounters()
      const script = repositoryPath('test/support/race-client.mjs')
      const argv = [process.execPath, script, WS.gateway4, 'rotate.live.example', '443', String(RACES)]
      const { stdout, stderr } = await command(['ip', 'netns', 'exec', at.lab.namespace('ws'), ...argv], {
        timeoutMs: 1_200_000,
      })
      await sniffer.settle(200, 10_000)
      await sniffer.close()
      const result = JSON.parse(stdout || JSON.stringify({ stderr })) as { addresses: number; failures: string[] }
      expect(result.failures).toEqual([])
      expect(result.addresses).toBe(RACES)
      const syns = new Map<string, number>()
      for (const { bytes, way } of sniffer.frames) {
        const key = way === 'in' ? synOf(bytes) : undefined
        if (key !== undefined) syns.set(key, (syns.get(key) ?? 0) + 1)
      }
      expect(syns.size).toBe(RACES)
      expect([...syns].filter(([, count]) => count > 1)).toEqual([])
      const after = await at.lab.ws.tcpCounters()
      expect(after.RetransSegs - before.RetransSegs).toBe(0)
      if (process.env.RACES)
        process.stdout.write(`${backend}: ${RACES} races, ${syns.size} SYNs, 0 twice, 0 failures\n`)
    }, 1_300_000)

    it('what was learnt survives the mediator, which remembers budgets and names', async () => {
      expect((await at.dig('git.lab.example')).status).toBe('NOERROR')
      await mediator.stop()
      expect(await connects(OUT.git, 443)).toBe('connected')
      mediator = await at.mediate()
      expect(await connects(OUT.git, 443)).toBe('connected')
      expect((await at.dig('n9.wild.lab.example')).status).toBe('REFUSED')
      expect((await at.dig('git.lab.example')).answers).toHaveLength(1)
    }, 60_000)

    it('a clause that goes takes its grants and its name; what stays goes on', async () => {
      expect((await at.dig('git.lab.example')).status).toBe('NOERROR')
      const kept = RULES.filter(({ host }) => host.includes('registry') || host.includes('rotate'))
      const generation = await at.apply(kept)
      expect((await at.dig('git.lab.example')).status).toBe('REFUSED')
      expect(await connects(OUT.git, 443)).toBe('reset')
      expect((await at.dig('registry.lab.example')).status).toBe('NOERROR')
      expect(await connects(OUT.registry, 443)).toBe('connected')
      await mediator.listening(generation)
    }, 60_000)

    it('a second name on an address is withheld while the first has it, and the policy does not accept that', async () => {
      const rules = [
        { host: 'cdn-a.lab.example', ports: [80] },
        { host: 'cdn-b.lab.example', ports: [443] },
        { host: 'registry.lab.example', ports: [443] },
      ]
      await at.apply(rules.slice(0, 2))
      expect((await at.dig('cdn-b.lab.example')).status).toBe('NOERROR')
      expect((await at.dig('cdn-a.lab.example')).status).toBe('SERVFAIL')
      expect(await connects(OUT.registry, 443)).toBe('connected')
      expect(await connects(OUT.registry, 80)).toBe('reset')
      await at.apply(rules, { delegate: ['shared-address'] })
      expect((await at.dig('cdn-a.lab.example')).status).toBe('NOERROR')
      expect(await connects(OUT.registry, 80)).toBe('connected')
    }, 60_000)

    it('quarantine turns the resolver off with everything else', async () => {
      await at.product.run(
        'quarantine',
        'set',
        'spiffe://demo.example/workspace/ws0',
        '--reason',
        'test',
        '--config',
        'agent.yaml',
      )
      expect((await at.dig('registry.lab.example', '+time=2')).status).toMatch(/^none/)
      await at.product.run(
        'quarantine',
        'lift',
        'spiffe://demo.example/workspace/ws0',
        '--reason',
        'test',
        '--config',
        'agent.yaml',
      )
      expect((await at.dig('registry.lab.example')).status).toBe('NOERROR')
    }, 60_000)
  })
})

/** Ports and destination of a pure SYN over IPv4; undefined for anything else. */
function synOf(frame: Uint8Array): string | undefined {
  const view = Buffer.from(frame)
  if (view.length < 54 || view.readUInt16BE(12) !== 0x0800 || view[23] !== 6) return undefined
  const start = 14 + ((view[14] ?? 0) & 15) * 4
  if (((view[start + 13] ?? 0) & 0x17) !== 0x02) return undefined
  return `${view.subarray(30, 34).join('.')}:${view.readUInt16BE(start + 2)} ${view.readUInt16BE(start)}`
}
