// Records of DOCA Argus under a running agent: a reverse shell in them puts the workspace of its machine, and no other, into quarantine;
// the trail says what was seen, by which clause, and what became of it. What comes while the agent is dead is judged when it is back.

import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const VUIDS = ['MT2306XZ00ABMLNXS0D0F0VF1', 'MT2306XZ00ABMLNXS0D0F0VF2']

labSuite('records of DOCA Argus under a running agent', () => {
  let lab: Lab
  let agent: RunningAgent
  beforeAll(async () => {
    lab = await openLab()
    const slots = SLOTS.map((slot, i) => ({ ...slot, vuid: VUIDS[i] ?? '' }))
    agent = await RunningAgent.prepare(lab.namespace('node'), slots, 'doca_argus: {records: argus}\n')
    const file = agent.path('agent.yaml')
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('backends: ["nftables"]', 'backends: [nftables, doca-argus]'),
    )
    mkdirSync(agent.path('argus/host'), { recursive: true })
    const extra = 'process: {detect: [reverse-shell, memory-only], reaction: quarantine}\n'
    await agent.publish(1, [OUT.git], [ID, ID2], { extra })
    agent.start()
    await agent.told('active')
  }, 180_000)
  afterAll(async () => {
    await agent?.close()
    await lab?.close()
  }, 60_000)

  const log = () => agent.path('argus/host/doca_argus_log.log')
  const record = (vuid: string, name: string, more: object = {}): string =>
    `${JSON.stringify({
      message_header: { message_id: `${vuid} ${name}`, severity: 'HIGH' },
      workload_information: { unique_identifier: vuid },
      activity_data: { name, ...more },
    })}\n`
  const SHELL = {
    process_details: { process_id: '4711', process_executable_path: '/usr/bin/bash', process_real_user_id: '1000' },
    network_connection_details: { peer_address: '::ffff:198.51.100.7', peer_port: '4444' },
  }
  const quarantined = async (): Promise<readonly string[]> => {
    const { json } = await agent.ask('status', '--config', 'agent.yaml')
    return json.quarantines.map((entry: { workspace: string }) => entry.workspace)
  }
  const findings = () => agent.events().filter(({ class_uid }) => class_uid === 2004)

  it('shows in the plan what is detected, and tells Argus whom to look at', async () => {
    const { json } = await agent.ask('plan', 'next', '--inventory', 'inventory.yaml', '--config', 'agent.yaml')
    const levels = json.guarantees?.map(({ level, name }: { level: string; name: string }) => `${level} ${name}`) ?? []
    expect(levels).toContain('detected process.detect')
    const configuration = readFileSync(agent.path('state/backends/doca-argus/doca-argus.yaml'), 'utf8')
    for (const vuid of VUIDS) expect(configuration).toContain(`representor_id: "${vuid}"`)
  })

  it('leaves alone what no clause speaks against', async () => {
    appendFileSync(log(), record(VUIDS[0] ?? '', 'network connection created'))
    appendFileSync(log(), record('another machine', 'Reverse Shell Detected', SHELL))
    expect(await reach(lab)).toBe('connected')
  })

  it('quarantines the workspace of a reverse shell, and tells by which clause', async () => {
    appendFileSync(log(), record(VUIDS[0] ?? '', 'Reverse Shell Detected', SHELL))
    await until('a finding', () => findings().some(({ status_code }) => status_code === 'reverse-shell'))
    expect(await quarantined()).toEqual([ID])
    expect(await reach(lab)).toBe('timeout')
    const [seen] = agent.events().filter(({ class_uid }) => class_uid === 1007)
    expect(seen).toMatchObject({
      status_code: 'reverse-shell',
      action_id: 3,
      disposition_id: 15,
      device: { uid: ID },
      process: { pid: 4711, path: '/usr/bin/bash', user: { uid: '1000' } },
      firewall_rule: { uid: expect.stringMatching(/^sha256:/), type: 'doca-argus' },
      unmapped: { bound_by: 'identifier', peer: '198.51.100.7', peer_port: 4444 },
    })
    expect(findings()[0]).toMatchObject({
      action_id: 2,
      device: { uid: ID },
      finding_info: { attacks: [{ technique: { uid: 'T1059' }, sub_technique: { uid: 'T1059.004' } }] },
      unmapped: { reaction: 'quarantine', outcome: 'done', command_uids: [expect.stringMatching(/^cmd-/)] },
    })
  })

  it('judges what was written while it was dead, through a rotation', async () => {
    await agent.kill()
    appendFileSync(
      log(),
      record(VUIDS[1] ?? '', 'Process Created', {
        process_details: { process_id: 9, process_executable_path: '/memfd:x (deleted)' },
      }),
    )
    renameSync(log(), `${log()}.1`)
    writeFileSync(log(), '{"torn')
    agent.start()
    await until('the second workspace to be in quarantine', async () => (await quarantined()).includes(ID2))
    const told = await until('a finding', () => findings().find(({ status_code }) => status_code === 'memory-only'))
    expect(told).toMatchObject({ device: { uid: ID2 } })
    expect(findings().filter(({ status_code }) => status_code === 'reverse-shell')).toHaveLength(1)
  })
})
