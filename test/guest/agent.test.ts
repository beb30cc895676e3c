// `sluice agent` on a kernel with BPF LSM, in a guest with Debian's cloud kernel: a signed release with clauses about programs and files of a
// workspace that is a cgroup, held by `bpf-lsm`. What may be done there changes with a release, ends in quarantine and with the release, and
// neither opens nor closes when the agent is killed or comes back. With AGENT_GUEST=1; what the guard holds by itself is exec.test.ts.

import { beforeAll, describe, expect, it } from 'vitest'
import { play } from '../support/exec/guest.js'

const MINUTES = 60_000
const NODE = 'spiffe://fleet.example/ws/agent0'
/** What can be tried, where nothing is fenced. */
const ALL = ['ok', 'evil', 'read', 'write', 'peek']
/** By the first release, and by the second. */
const [FIRST, SECOND] = [
  ['ok', 'read', 'write'],
  ['evil', 'read', 'peek'],
]

describe('an agent on a kernel with BPF LSM', () => {
  if (process.env.AGENT_GUEST !== '1') {
    it('is played with AGENT_GUEST=1', (context) => context.skip('takes some minutes of emulation; AGENT_GUEST=1 asks'))
    return
  }
  // biome-ignore lint/suspicious/noExplicitAny: one line of JSON, each part looked into by the test that asked for it.
  let agent: any
  beforeAll(async () => {
    ;[agent] = await play([['agent-player']], 25 * MINUTES)
  }, 26 * MINUTES)

  it('is what an agent holds a signed release with: what its clauses allow, and nothing else', () => {
    const files = 'enforced work: bpf-lsm: where its files lie; that a name is there can be learnt'
    const said = agent.plan.map(({ level, name, why }: Record<string, string>) => `${level} ${name}: ${why}`)
    expect(said.sort()).toEqual(['enforced process: bpf-lsm', files, files, files])
    expect(agent.nobody).toEqual(ALL)
    expect(agent.first).toEqual(FIRST)
    expect(agent.second).toEqual(SECOND)
  })

  it('is in the trail of that agent, with the clause', () => {
    const of = (wanted: string): readonly string[] =>
      agent.plan.flatMap(({ name, clause }: Record<string, string>) => (name === wanted ? [clause] : []))
    const [program, file] = agent.told
    const common = { device: { uid: NODE }, firewall_rule: { type: 'bpf-lsm' }, disposition_id: 2 }
    expect(program).toMatchObject({
      ...common,
      class_uid: 1007,
      status_code: 'unlisted',
      process: { path: '/agent/evil' },
    })
    expect(of('process')).toEqual([program.unmapped.clause])
    expect(file).toMatchObject({
      ...{ ...common, class_uid: 1001, status_code: 'denied', file: { path: '/project/.secrets/token' } },
      unmapped: { volume: 'work', operation: 'open' },
    })
    expect(of('work')).toContain(file.unmapped.clause)
  })

  it('holds in quarantine, with the agent killed, and when it is back, without a gap', () => {
    expect(agent.quarantined).toEqual([])
    expect(agent.quarantinedAlone).toEqual([])
    expect(agent.quarantinedAgain).toEqual(['as-it-was', [], [NODE]])
    expect(agent.lifted).toEqual(SECOND)
    expect(agent.gap).toEqual({ alone: true, back: true, amiss: [] })
  })

  it('ends with the release though nobody is there, and another begins when an agent is', () => {
    expect(agent.expired).toEqual([])
    expect(agent.renewed).toEqual(FIRST)
    expect(agent.uninstalled).toContain('bpf-lsm: the guard of executables and files')
    expect(agent.after).toEqual([ALL, false])
  })
})
