// The agent under a service manager: ready when the fence stands, its socket handed over, a sign of life only from a loop that
// goes round, and an end by the watchdog that no flow notices. The manager is a stand-in (service-manager.py) that does what
// systemd does with these sockets and signals.

import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { failingNft } from '../support/agent/failing-nft.js'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const BOTH = [ID, ID2]
const PATIENT = 300_000
/** Long enough for a sweep on a loaded machine. */
const WATCHDOG_SECONDS = 20

labSuite('an agent that is supervised', () => {
  let lab: Lab
  let agent: RunningAgent
  const supervised = (...given: readonly string[]) => [
    'python3',
    repositoryPath('test/support/agent/service-manager.py'),
    ...given,
  ]
  const states = () =>
    agent.lines.filter(({ event }) => event === 'notify').flatMap(({ detail }) => detail.lines as string[])

  beforeEach(async () => {
    lab = await openLab()
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS)
    await agent.publish(1, [OUT.git], BOTH)
  })
  afterEach(async () => {
    await agent?.close()
    await lab?.close()
  })

  it('says that it is ready when the fence stands, and serves the socket that it was handed', {
    timeout: PATIENT,
  }, async () => {
    const path = agent.path('state/agent.sock')
    agent.operator.shell('mkdir -p state')
    agent.launcher = supervised(agent.path('notify'), '0', path)
    agent.start('--first')
    await agent.told('active')
    await until('it to be ready', () =>
      states().some((line) => line === 'STATUS=fence active: generation 2 revision 1'),
    )
    expect(states()).toContain('READY=1')
    expect(states().filter((line) => line.startsWith('WATCHDOG='))).toEqual([])
    expect(await reach(lab)).toBe('connected')
    expect(await agent.ask('quarantine', 'set', ID, '--reason', 'by the socket')).toMatchObject({ exit: 0 })
    expect(agent.lines.map(({ event }) => event)).toContain('quarantine-set')
    expect(await reach(lab)).toBe('timeout')
    expect(await agent.stop()).toBe(0)
    expect(states()).toContain('STOPPING=1')
  })

  it('is not waited for by a command while only the service manager listens', { timeout: PATIENT }, async () => {
    const path = agent.path('state/agent.sock')
    agent.start('--first')
    await agent.told('active')
    expect(await agent.stop()).toBe(0)
    agent.launcher = supervised(agent.path('notify'), '0', path)
    // A process that holds the socket and never answers.
    const program = agent.operator.shell('command -v sleep').out.trim()
    const manager = agent.launcher
    const listening = spawn(manager[0] ?? '', [...manager.slice(1), program, '600'], { stdio: 'ignore' })
    try {
      await until('the manager to listen', () => canConnect(path))
      expect(await agent.ask('quarantine', 'set', ID, '--reason', 'nobody answers')).toMatchObject({ exit: 0 })
      expect(await reach(lab)).toBe('timeout')
    } finally {
      listening.kill('SIGTERM')
      await new Promise((resolve) => listening.once('close', resolve))
    }
  })

  it('refuses a socket that is not the one that agent.yaml names', { timeout: PATIENT }, async () => {
    agent.launcher = supervised(agent.path('notify'), '0', agent.path('other.sock'))
    agent.start('--first')
    const { detail } = await agent.told('main-ended')
    expect(detail).toEqual({ status: 75 })
    expect(states()).not.toContain('READY=1')
  })

  it('is ended by the watchdog when its loop hangs, and the next one carries on without a flow noticing', {
    timeout: PATIENT,
  }, async () => {
    const nftables = failingNft(agent.operator.directory)
    agent.environment = nftables.environment
    agent.launcher = supervised(agent.path('notify'), String(WATCHDOG_SECONDS), '-')
    agent.start('--first')
    await agent.told('active')
    await until('a sign of life', () => states().includes('WATCHDOG=1'))
    const { number } = await lab.ws.download({ host: OUT.git, port: 443, rate: 50_000 })
    const flow = async () => (await lab.ws.downloads([number]))[0]
    const counters = await lab.ws.tcpCounters()

    nftables.hang()
    const { detail } = await agent.told('main-ended')
    expect(detail).toEqual({ status: -6 })
    expect(agent.lines.map(({ event }) => event)).toContain('watchdog-expired')
    expect([await reach(lab), await reach(lab, OUT.registry)]).toEqual(['connected', 'reset'])
    await agent.stop()

    nftables.goOn()
    agent.start()
    expect((await agent.told('stands')).detail).toEqual({ state: 'as-it-was', generation: 2 })
    const at = (await flow())?.bytes ?? 0
    await until('more of the download', async () => ((await flow())?.bytes ?? 0) > at + 20_000)
    const after = await lab.ws.tcpCounters()
    expect(after.OutRsts - counters.OutRsts).toBe(0)
    expect(after.EstabResets - counters.EstabResets).toBe(0)
  })
})

const canConnect = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Not yet.
    socket.once('error', () => resolve(false))
  })
