// Attaching for real: the agent makes the veth pair into a network namespace with the inventory's names and addresses, the
// deny fence is read back before it comes up, the plan judges its traffic, a newer lease ends the one before, and what the
// inventory does not say is refused.

import { spawn } from 'node:child_process'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

labSuite('attach and detach', () => {
  let lab: Lab
  let agent: RunningAgent
  const ask = (...words: string[]) => agent.ask(...words)
  const inside = (...argv: string[]) => lab.exec('ws', argv)
  const state = async (workspace: string) => {
    const { workspaces } = (await ask('status')).json
    return workspaces.find((entry: { workspace: string }) => entry.workspace === workspace)
  }
  beforeAll(async () => {
    lab = await openLab()
    // The laboratory's own pair of the first workspace goes: the agent is to make it.
    await lab.exec('node', ['ip', 'link', 'delete', WS.slot])
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, 'attach_required: true\n')
    await agent.publish(1, [OUT.git], [ID, ID2])
    agent.start()
    await agent.told('active')
  })
  afterAll(async () => {
    await agent?.close()
    await lab?.close()
  })

  it('a workspace without a tenure is denied, whatever its policy grants', async () => {
    expect((await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 600 })).outcome).toBe('timeout')
    expect(await state(ID2)).toMatchObject({ grants: 2, flags: ['suspended'] })
  })

  it('attaches an interface that is there, and the plan judges it from then on', async () => {
    expect(await ask('attach', ID2, '--interface', 'ws1')).toMatchObject({
      exit: 0,
      json: { state: 'attached', kind: 'veth', interface: 'ws1', leaseGeneration: 1, attached: true },
    })
    // Its stack has forgotten the gateway while it was denied, and asks again in its own time.
    const reached = () => lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 600 })
    await until('the first connection', async () => (await reached()).outcome === 'connected')
    expect((await lab.ws2.tcp({ host: OUT.registry, port: 80, timeoutMs: 600 })).outcome).toBe('reset')
  })

  it.each([
    ['another interface', ['--interface', 'ws0'], 'AGENT_SLOT_MISMATCH'],
    ['another kind', ['--tap', 'ws1'], 'AGENT_SLOT_MISMATCH'],
    ['an older lease', ['--interface', 'ws1', '--lease', '1'], 'AGENT_LEASE_STALE'],
    ['a namespace that is none', ['--netns', 'slu-nowhere', '--lease', '9'], 'AGENT_ATTACH_FAILED'],
  ])('refuses %s', async (_name, words, code) => {
    const before = await state(ID2)
    const { exit, json } = await ask('attach', ID2, ...words)
    expect([exit === 0, json.error.code]).toEqual([false, code])
    if (code !== 'AGENT_ATTACH_FAILED') expect(await state(ID2)).toEqual(before)
    // What fails half way leaves it denied, and the next attach lets it in again.
    else {
      expect((await state(ID2)).flags).toEqual(['suspended'])
      expect((await ask('attach', ID2, '--interface', 'ws1')).exit).toBe(0)
    }
  })

  it('refuses a workspace that no inventory names, an interface that is not there, and two ways at once', async () => {
    expect((await ask('attach', `${ID}x`, '--interface', 'ws0')).json.error.code).toBe('AGENT_WORKSPACE_UNKNOWN')
    expect((await ask('attach', ID, '--interface', 'ws0')).json.error.code).toBe('AGENT_SLOT_ABSENT')
    expect((await ask('attach', ID, '--interface', 'ws0', '--tap', 'ws0')).json.error.code).toBe('CLI_ATTACH_PLACE')
    expect((await ask('attach', ID, '--netns', '/proc/1/cwd')).json.error).toBeDefined()
  })

  it('makes the pair into a namespace: names, MAC, addresses, routes, and only what is granted passes', async () => {
    const { exit, json } = await ask('attach', ID, '--netns', lab.namespace('ws'))
    expect([exit, json.state, json.made]).toEqual([0, 'attached', true])
    const { stdout } = await inside('ip', '-brief', 'link', 'show', 'eth0')
    expect(stdout).toContain(WS.mac)
    expect((await inside('ip', 'route', 'get', OUT.git)).stdout).toContain(`via ${WS.gateway4}`)
    await until('the first connection', async () => (await reach(lab)) === 'connected')
    expect(await reach(lab, OUT.registry)).toBe('reset')
    expect((await ask('status')).json.state).toBe('active')
  })

  it('a newer lease ends the pair before it, and a container is its first process', async () => {
    const holder = spawn('ip', ['netns', 'exec', lab.namespace('ws'), 'sleep', '600'])
    try {
      const again = await ask('attach', ID, '--container', String(holder.pid), '--lease', '7')
      expect(again).toMatchObject({ exit: 0, json: { leaseGeneration: 7 } })
      await until('the first connection', async () => (await reach(lab)) === 'connected')
      expect((await ask('detach', ID, '--lease', '1')).json.error.code).toBe('AGENT_LEASE_STALE')
    } finally {
      holder.kill('SIGKILL')
    }
  })

  it('detaching denies, takes the pair away, and holds over a restart of the agent', async () => {
    expect(await ask('detach', ID)).toMatchObject({ exit: 0, json: { state: 'detached', leaseGeneration: 7 } })
    expect((await inside('ip', 'link', 'show', 'eth0')).status).toBe(1)
    expect((await ask('detach', ID)).json.error.code).toBe('AGENT_NOT_ATTACHED')
    await agent.kill()
    agent.start()
    await agent.told('stands')
    await until('the second workspace alone to be let in', async () => (await state(ID2)).flags.length === 0)
    expect((await state(ID)).flags).toEqual(['suspended'])
    const reached = () => lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 600 })
    await until('the second workspace to connect', async () => (await reached()).outcome === 'connected')
    const codes = agent.events().map((event) => event.status_code)
    expect(codes.filter((code) => code === 'workspace.attached').length).toBeGreaterThanOrEqual(4)
    expect(codes).toContain('workspace.detached')
  })
})
