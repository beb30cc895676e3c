// The failure table of the agent (design section 7), a test a row, named after it: a real agent process, nftables in a
// namespace of its own, and real packets. Rows about what does not exist yet (observe mode, DPU backends) have none.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { failingNft } from '../support/agent/failing-nft.js'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { Mtls } from '../support/mtls.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const BOTH = [ID, ID2]
const PATIENT = 300_000

labSuite('the failure table of a running agent', () => {
  let lab: Lab
  let agent: RunningAgent
  const mounts: string[] = []
  const prepare = async (more = ''): Promise<void> => {
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, more)
  }
  /** Revision 1 is live, and the first workspace reaches what it grants and nothing else. */
  const live = async (): Promise<void> => {
    await agent.publish(1, [OUT.git], BOTH)
    agent.start()
    await agent.told('active', ({ revision }) => revision === '1')
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
  }
  const state = async () => (await agent.ask('status')).json
  const generation = async (): Promise<number> => (await state()).live.generation
  const nft = (...words: string[]) => lab.exec('node', ['nft', ...words])
  const codes = () => agent.events().map((event) => event.status_code)
  /** A file system that a few octets fill. */
  const small = (name: string): string => {
    const at = agent.path(name)
    mkdirSync(at, { recursive: true })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', at])
    mounts.push(at)
    return at
  }
  const fill = (at: string): void => {
    try {
      writeFileSync(join(at, 'filler'), Buffer.alloc(1 << 20))
    } catch {
      // That it is full is the point.
    }
  }

  beforeEach(async () => {
    lab = await openLab()
  })
  afterEach(async () => {
    for (const at of mounts.splice(0)) execFileSync('umount', ['-l', at])
    await agent?.close()
    await lab.close()
  })

  it('first start, nothing held: every attachment denied', { timeout: PATIENT }, async () => {
    await prepare()
    expect(await reach(lab)).toBe('connected')
    agent.start()
    expect((await agent.told('stands')).detail).toMatchObject({ state: 'closed', generation: 1 })
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['reset', 'reset'])
    expect(await state()).toMatchObject({ state: 'closed', workspaces: [{ grants: 0 }, { grants: 0 }] })
  })

  it('bundle bad: what is live stays, refused with a code, audited, the same bytes not judged twice', {
    timeout: PATIENT,
  }, async () => {
    await prepare()
    await live()
    await agent.publish(2, [OUT.registry], BOTH, {
      tamper: (directory) => {
        const file = join(directory, 'fence.yaml')
        writeFileSync(file, readFileSync(file, 'utf8').replace('tcp', 'udp'))
      },
    })
    await agent.told('source-failed', ({ code }) => code === 'BUNDLE_MEMBER_DIGEST')
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    expect(await state()).toMatchObject({ state: 'active', live: { source: { policyRevision: '1' } } })
    const refusals = () => codes().filter((code) => code === 'BUNDLE_MEMBER_DIGEST').length
    const before = await until('the refusal in the trail', () => refusals())
    // Polls go on, and a good release is taken; the bad one was judged once.
    await agent.publish(3, [OUT.git, OUT.registry], BOTH)
    await agent.told('active', ({ revision }) => revision === '3')
    expect(refusals()).toBe(before)
    expect(await reach(lab, OUT.registry)).toBe('connected')
  })

  it('bundle good, a clause cannot be enforced here: the whole bundle is refused', { timeout: PATIENT }, async () => {
    await prepare()
    await live()
    await agent.publish(2, [OUT.registry], BOTH, { extra: 'quotas: {live_connections: 3}\n' })
    const told = await agent.told('source-failed', ({ code }) => code === 'PLAN_REFUSED')
    expect(told.detail.findings).toEqual([
      expect.stringContaining('does not limit live-connections'),
      expect.stringContaining('does not limit live-connections'),
    ])
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    await until('the refusal in the trail', () => codes().includes('PLAN_REFUSED'))
  })

  it('applying fails half way: what was live stays live, and it is applied when the disk has room again', {
    timeout: PATIENT,
  }, async () => {
    await prepare()
    await agent.publish(1, [OUT.git], BOTH)
    const held = agent.path('state')
    renameSync(held, `${held}.before`)
    small('state')
    execFileSync('cp', ['-a', `${held}.before/.`, held])
    agent.start()
    await agent.told('active', ({ revision }) => revision === '1')
    fill(held)
    await agent.publish(2, [OUT.registry], BOTH)
    await agent.told('source-failed', ({ code }) => code === 'AGENT_STORE_WRITE')
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    // Fencing does not need the disk: it is told that nothing was written down.
    expect(await agent.ask('quarantine', 'set', ID, '--reason', 'disk full')).toMatchObject({
      exit: 75,
      json: { error: { code: 'AGENT_FENCED_UNRECORDED' } },
    })
    expect(await reach(lab)).toBe('timeout')
    rmSync(join(held, 'filler'))
    await agent.told('active', ({ revision }) => revision === '2')
    expect((await agent.ask('quarantine', 'lift', ID, '--reason', 'over')).exit).toBe(0)
    await until('the workspace to be let in', async () => (await reach(lab, OUT.registry)) === 'connected')
    expect(await reach(lab)).toBe('reset')
  })

  it('active bundle expires: suspended, with the agent dead as well', { timeout: PATIENT }, async () => {
    await prepare()
    await agent.publish(1, [OUT.git], BOTH, { lifetimeMs: 25_000 })
    agent.start()
    await agent.told('active', ({ revision }) => revision === '1')
    expect(await reach(lab)).toBe('connected')
    await agent.kill()
    await until('the fence to close by itself', async () => (await reach(lab)) === 'timeout')
    agent.start()
    await agent.told('stands')
    expect(await reach(lab)).toBe('timeout')
    await agent.publish(2, [OUT.git], BOTH)
    await agent.told('active', ({ revision }) => revision === '2')
    await until('the workspace to be let in again', async () => (await reach(lab)) === 'connected')
  })

  it('transport unreachable: enforcing goes on, and it is said', { timeout: PATIENT }, async () => {
    await prepare()
    await live()
    renameSync(agent.path('pub'), agent.path('gone'))
    await agent.told('source-failed', ({ code }) => String(code).startsWith('TRANSPORT_'))
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    expect(await agent.ask('quarantine', 'set', ID, '--reason', 'while it is gone')).toMatchObject({ exit: 0 })
    expect(await reach(lab)).toBe('timeout')
    renameSync(agent.path('gone'), agent.path('pub'))
    await agent.publish(2, [OUT.registry], BOTH)
    await agent.told('active', ({ revision }) => revision === '2')
    expect(await reach(lab, OUT.registry)).toBe('timeout')
  })

  it('what is live differs from the plan: repaired, both states audited, counted', { timeout: PATIENT }, async () => {
    await prepare()
    await live()
    const before = await generation()
    expect((await nft('flush', 'ruleset')).status).toBe(0)
    await agent.told('repair')
    await until('the fence to be whole', async () => (await state()).state === 'active')
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    expect(await generation()).toBeGreaterThanOrEqual(before)
    await until('both states in the trail', () => codes().includes('drift') && codes().includes('drift.repaired'))
    // And again: whoever keeps changing it gets a repair each time.
    const repairs = codes().filter((code) => code === 'drift.repaired').length
    expect((await nft('flush', 'ruleset')).status).toBe(0)
    await until('another repair', () => codes().filter((code) => code === 'drift.repaired').length > repairs)
    await until('the fence to be whole', async () => (await state()).state === 'active')
    expect(await reach(lab)).toBe('connected')
  })

  it('drift, and the trust root cannot be read: repaired all the same, also by an agent that starts so', {
    timeout: PATIENT,
  }, async () => {
    await prepare()
    await live()
    writeFileSync(agent.path('root.json'), 'not a trust root')
    const repairs = () => codes().filter((code) => code === 'drift.repaired').length
    expect((await nft('flush', 'ruleset')).status).toBe(0)
    await until('a repair', () => repairs() > 0)
    await until('the fence to be whole', async () => (await state()).state === 'active')
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    expect(await agent.stop()).toBe(0)
    expect((await nft('flush', 'ruleset')).status).toBe(0)
    agent.start()
    expect((await agent.told('stands')).detail).toMatchObject({ state: 'restored' })
    await agent.told('trust-root', ({ code }) => code === 'BUNDLE_ROOT')
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    await until('the refusal in the trail', () => codes().includes('BUNDLE_ROOT'))
  })

  it('backend lost: said, nothing opens or moves elsewhere, and whole again when it is back', {
    timeout: PATIENT,
  }, async () => {
    await prepare('http: 127.0.0.1:9465\n')
    const nftables = failingNft(agent.operator.directory)
    agent.environment = nftables.environment
    await live()
    const ready = async () => {
      const ask = `fetch('http://127.0.0.1:9465/readyz').then(async (r) => console.log(r.status, (await r.text()).trim()))`
      return (await lab.exec('node', [process.execPath, '-e', ask])).stdout.trim()
    }
    expect(await ready()).toBe('200 active')
    nftables.fail()
    const lost = await until('the loss to be said', async () => {
      const seen = await state()
      return seen.state === 'lost' && seen
    })
    expect(lost.drift).toEqual([expect.stringContaining('nftables: the backend nftables cannot be asked what is live')])
    expect(await ready()).toBe('503 lost')
    await agent.told('failed', ({ during }) => during === 'sweep')
    // What it fenced goes on being fenced, and what somebody takes away is not open either.
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    expect((await nft('flush', 'ruleset')).status).toBe(0)
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['timeout', 'timeout'])
    await agent.publish(2, [OUT.registry], BOTH)
    await agent.told('source-failed', ({ code }) => code === 'AGENT_BACKEND_LOST')
    expect(await reach(lab, OUT.registry)).toBe('timeout')
    await until('the loss in the trail', () => codes().includes('drift'))
    nftables.mend()
    await agent.told('active', ({ revision }) => revision === '2')
    await until('the workspace to be let in', async () => (await reach(lab, OUT.registry)) === 'connected')
    await until('it to be ready', async () => (await ready()) === '200 active')
    expect(await reach(lab)).toBe('reset')
  })

  it('agent dies: the fence stands', { timeout: PATIENT }, async () => {
    await prepare()
    await live()
    await agent.kill()
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    // Without the agent the command line does its work itself.
    expect(await agent.ask('quarantine', 'set', ID, '--reason', 'no agent')).toMatchObject({ exit: 0 })
    expect(await reach(lab)).toBe('timeout')
  })

  it('node reboots: the first thing that the agent does is to put the fence back', { timeout: PATIENT }, async () => {
    await prepare()
    await live()
    const before = await generation()
    expect((await agent.ask('quarantine', 'set', ID2, '--reason', 'kept')).exit).toBe(0)
    expect(await agent.stop()).toBe(0)
    await nft('flush', 'ruleset')
    for (const name of ['ws0', 'ws1', 'up0', 'lo'])
      await lab.exec('node', ['tc', 'qdisc', 'del', 'dev', name, 'clsact'])
    expect(await reach(lab, OUT.registry)).toBe('connected')
    renameSync(agent.path('pub'), agent.path('gone'))
    agent.start()
    expect((await agent.told('stands')).detail).toEqual({ state: 'restored', generation: before })
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    expect((await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 600 })).outcome).toBe('timeout')
  })

  it('agent restarts: observe, compare, carry on, and allowed flows do not notice', { timeout: PATIENT }, async () => {
    await prepare()
    await live()
    const before = await generation()
    const { number } = await lab.ws.download({ host: OUT.git, port: 443, rate: 50_000 })
    const flow = async () => (await lab.ws.downloads([number]))[0]
    const counters = await lab.ws.tcpCounters()
    expect(await agent.stop()).toBe(0)
    agent.start()
    expect((await agent.told('stands')).detail).toEqual({ state: 'as-it-was', generation: before })
    const at = (await flow())?.bytes ?? 0
    await until('more of the download', async () => ((await flow())?.bytes ?? 0) > at + 20_000)
    expect((await flow())?.state).toBe('open')
    const after = await lab.ws.tcpCounters()
    expect(after.OutRsts - counters.OutRsts).toBe(0)
    expect(after.EstabResets - counters.EstabResets).toBe(0)
    expect(await generation()).toBe(before)
  })

  it('companion gone, API caller unknown: refused, and the fence is unaffected', { timeout: PATIENT }, async () => {
    const mtls = new Mtls()
    try {
      const files = `certificate: ${mtls.path('server.pem')}, key: ${mtls.path('server.key')}, client_ca: ${mtls.path('ca.pem')}`
      await prepare(`api: {listen: "45.76.9.2:7443", ${files}, companions: [spiffe://fleet.example/companion/n1]}\n`)
      await agent.publish(1, [OUT.git], BOTH)
      agent.start()
      await agent.told('active')
      const { certificate, key } = mtls.client(['URI:spiffe://fleet.example/nobody'])
      // The address is the enforcement node's: a caller stands in the outside world, as a companion would.
      const said = await askFrom(lab, mtls, certificate, key)
      expect(said).toContain('PERMISSION_DENIED')
      expect(said).toContain('API_DENIED')
      expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    } finally {
      mtls.remove()
    }
  })

  it('quarantine: fence first, durable over restarts, lifted by an operator with a reason', {
    timeout: PATIENT,
  }, async () => {
    await prepare()
    await live()
    expect(await agent.ask('quarantine', 'set', ID, '--reason', 'incident')).toMatchObject({
      exit: 0,
      json: { state: 'quarantined' },
    })
    expect(await reach(lab)).toBe('timeout')
    // Whoever takes it away by hand is told of, and it is back within seconds.
    for (const set of ['quarantined', 'quarantined4'])
      expect((await nft('flush', 'set', 'inet', 'sluice', set)).status).toBe(0)
    await until('the quarantine to be set again', () => codes().includes('drift.repaired'))
    expect(await reach(lab)).toBe('timeout')
    await agent.kill()
    agent.start()
    await agent.told('stands')
    expect(await reach(lab)).toBe('timeout')
    await agent.publish(2, [OUT.git, OUT.registry], BOTH)
    await agent.told('active', ({ revision }) => revision === '2')
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['timeout', 'timeout'])
    expect(await agent.ask('quarantine', 'lift', ID, '--reason', 'mended')).toMatchObject({ exit: 0 })
    // While it was fenced its neighbour entry went stale, and its stack asks again in its own time.
    await until('the workspace to be let in', async () => (await reach(lab)) === 'connected')
  })

  it('audit sink down: enforcing does not wait, and what was told waits for room', { timeout: PATIENT }, async () => {
    await prepare()
    agent.write(
      'agent.yaml',
      readFileSync(agent.path('agent.yaml'), 'utf8').replace(/^events_file:.*$/m, 'events_file: log/events.ndjson'),
    )
    const log = small('log')
    await agent.publish(1, [OUT.git], BOTH)
    agent.start()
    await agent.told('active')
    fill(log)
    expect(await agent.ask('quarantine', 'set', ID, '--reason', 'no room for the trail')).toMatchObject({ exit: 0 })
    expect(await reach(lab)).toBe('timeout')
    await agent.publish(2, [OUT.registry], BOTH)
    await agent.told('active', ({ revision }) => revision === '2')
    rmSync(join(log, 'filler'))
    expect(await agent.ask('quarantine', 'lift', ID, '--reason', 'room again')).toMatchObject({ exit: 0 })
    await until('the workspace to be let in', async () => (await reach(lab, OUT.registry)) === 'connected')
    // It waited in the agent's memory, bounded; what would not have fitted would be counted. Nothing of it is missing.
    const codesThere = () => agent.events('log/events.ndjson').map((event) => event.message ?? '')
    await until('the trail to be whole', () => codesThere().some((say) => say.startsWith('quarantine lifted')))
    const events = agent.events('log/events.ndjson')
    expect(codesThere().some((say) => say.startsWith('quarantine of'))).toBe(true)
    expect(events.map((event) => event.metadata.sequence)).toEqual(events.map((_, i) => i + 1))
  })
})

/** Asks for the status from the outside namespace: a client of the product in a process there. */
async function askFrom(lab: Lab, mtls: Mtls, certificate: Buffer, key: Buffer): Promise<string> {
  writeFileSync(mtls.path('caller.pem'), certificate)
  writeFileSync(mtls.path('caller.key'), key)
  const program = `
    import { readFileSync } from 'node:fs'
    import { status } from '@grpc/grpc-js'
    import { AgentClient } from './dist/api/grpc-client.js'
    const at = (name) => readFileSync(${JSON.stringify(mtls.directory)} + '/' + name)
    const client = new AgentClient({ address: '45.76.9.2:7443', serverName: 'localhost', ca: at('ca.pem'), certificate: at('caller.pem'), key: at('caller.key') })
    await client.call('Enforcement/Lift', { workspace: '${ID}', reason: 'let me' }, 20000).then(
      () => console.log('served'),
      (error) => console.log(status[error.code], error.details),
    )
    client.close()`
  const { stdout, stderr } = await lab.exec('out', [process.execPath, '--input-type=module', '-e', program])
  return `${stdout}${stderr}`
}
