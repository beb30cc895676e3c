// What runs in a cgroup under a running agent, on this machine's kernel: `exec-sensor` tells of it, the clause judges it, and its reaction is
// carried out: the workspace is in quarantine, or everything in it is ended. Where the kernel has BPF LSM, test/guest shows what blocks.
//
// Evidence says where the sensor hangs, by the kernel's own numbers; a kill of the agent loses nothing of what ran meanwhile.

import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GROUPED, type Grouped, noGroups, openGrouped } from '../support/agent/grouped.js'
import { until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'

const [SHELL, TRUE, SLEEP, PYTHON] = ['/bin/sh', '/bin/true', '/bin/sleep', '/usr/bin/python3'].map((path) =>
  existsSync(path) ? realpathSync(path) : path,
) as [string, string, string, string]

const policy = (reaction: string, more = ''): { readonly extra: string } => ({
  extra: `process: {allow_exec: [${[SHELL, TRUE, PYTHON].join(', ')}]${more}, reaction: ${reaction}}\n`,
})

describe('what runs in a cgroup under a running agent', { timeout: 180_000 }, () => {
  if (noGroups !== undefined) {
    it('needs cgroups', (context) => context.skip(noGroups))
    return
  }
  let grouped: Grouped
  beforeAll(async () => {
    grouped = await openGrouped(['exec-sensor'])
    await grouped.agent.publish(1, [OUT.git], [GROUPED], policy('quarantine', ', detect: [memory-only]'))
    grouped.agent.start()
    await grouped.agent.told('active')
  }, 180_000)
  afterAll(() => grouped?.close(), 60_000)

  const quarantined = async (): Promise<readonly string[]> => {
    const { json } = await grouped.agent.ask('status', '--config', 'agent.yaml')
    return json.quarantines.map((entry: { workspace: string }) => entry.workspace)
  }
  const findings = () => grouped.agent.events().filter(({ class_uid }) => class_uid === 2004)
  const finding = (code: string, count = 1) =>
    until(`a finding ${code}`, () => {
      const found = findings().filter(({ status_code }) => status_code === code)
      return found.length >= count ? found.at(-1) : undefined
    })

  it('is said by the plan to be detected, and by evidence where', async () => {
    const { json } = await grouped.agent.ask('plan', 'next', '--inventory', 'inventory.yaml', '--config', 'agent.yaml')
    const said = json.guarantees.map(({ level, name, why }: Record<string, string>) => `${level} ${name}: ${why}`)
    const after = 'then quarantines, and stops nothing beforehand'
    expect(said).toContain(`detected process: exec-sensor tells of what runs, ${after}`)
    expect(said).toContain(`detected process.detect: exec-sensor tells of memory-only, ${after}`)
  })

  it('is left alone when it is listed', async () => {
    expect(grouped.run(TRUE).status).toBe(0)
    expect(await quarantined()).toEqual([])
  })

  it('puts the workspace into quarantine when it is not', async () => {
    expect(grouped.run(SLEEP, '0').status).toBe(0)
    const told = await finding('unlisted')
    expect(told).toMatchObject({
      device: { uid: GROUPED },
      unmapped: { reaction: 'quarantine', outcome: 'done', command_uids: [expect.stringMatching(/^cmd-/)] },
    })
    expect(await quarantined()).toEqual([GROUPED])
    const seen = grouped.agent.events().find(({ class_uid }) => class_uid === 1007)
    expect(seen).toMatchObject({ device: { uid: GROUPED }, process: { path: SLEEP }, status_code: 'unlisted' })
  })

  it('ends everything there when the clause says so', async () => {
    await grouped.agent.must(`quarantine lift ${GROUPED} --reason seen --config agent.yaml`)
    await grouped.agent.publish(2, [OUT.git], [GROUPED], policy('kill'))
    await grouped.agent.told('active', ({ revision }) => revision === '2')
    const bystander = spawn('/bin/sh', ['-c', `echo 0 >${grouped.joinBy}; echo in; read forever`], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const ended = new Promise<string | null>((done) => bystander.once('exit', (_code, signal) => done(signal)))
    await new Promise((done) => bystander.stdout.once('data', done))
    grouped.run(SLEEP, '0')
    expect(await ended).toBe('SIGKILL')
    expect(await finding('unlisted', 2)).toMatchObject({ unmapped: { reaction: 'kill', outcome: 'done' } })
    expect(await quarantined()).toEqual([GROUPED])
  })

  it('is told when the agent is back, if it ran while nobody looked', async () => {
    await grouped.agent.must(`quarantine lift ${GROUPED} --reason seen --config agent.yaml`)
    await grouped.agent.kill()
    const before = findings().length
    grouped.run(SLEEP, '0')
    grouped.agent.start()
    await until('the workspace to be in quarantine', async () => (await quarantined()).includes(GROUPED))
    await until('a finding', () => findings().length > before)
  })
})
