// The part of the demo with programs: what a workspace in a cgroup runs, by a clause that lists what it may, and what DOCA Argus writes of a
// machine behind a card. Where this kernel has BPF LSM an unlisted program does not run; where it has not, the plan says `detected`,
// and the rows show what that is: it runs, is told, and the reaction of the clause follows.
//
// An agent runs for each, in a directory of its own, and takes away what it made.

import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, realpathSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cgroupRoot } from '../../src/backends/tracing/cgroups.js'
import { OUT, WS } from '../../test/support/lab/addresses.js'
import type { Lab } from '../../test/support/lab/lab.js'
import { Product } from './product.js'
import { progress, type Row } from './report.js'
import { AUDIENCE, CHANNEL, WORKSPACE } from './workshop.js'

const [IN_GROUP, BEHIND_CARD] = ['programs, in a cgroup', 'programs, in records of DOCA Argus']
const VUID = 'MT2306XZ00ABMLNXS0D0F0VF1'
const PATIENCE_MS = 60_000

const row = (group: string, probe: string, expected: string, observed: string, clause: string): Row => ({
  ...{ group, probe, expected, observed, clause },
  ok: observed === expected,
})

/** Needs the enforcement node without a fence; leaves it so. */
export async function processes(lab: Lab, directory: string): Promise<Row[]> {
  const rows: Row[] = []
  const root = cgroupRoot()
  if (root !== undefined) rows.push(...(await inGroup(root, join(directory, 'group'))))
  else progress('programs in a cgroup: left out, because no unified hierarchy is mounted')
  return [...rows, ...(await behindCard(lab, join(directory, 'machine')))]
}

interface Site {
  /** The namespace, or the path of one. */
  readonly namespace: string
  readonly directory: string
  readonly backends: readonly string[]
  readonly slot: string
  /** The section `process` of the policy. */
  readonly process: string
  /** More of agent.yaml. */
  readonly more?: string
}

/** What the clause is worth here, what was told of it, and whether the workspace is cut off. */
class Standing {
  constructor(
    private readonly product: Product,
    private readonly directory: string,
  ) {}

  async guarantee(clause: string): Promise<{ readonly level: string; readonly why: string }> {
    const words = ['plan', 'next', '--inventory', 'inventory.yaml', '--config', 'agent.yaml']
    const { json } = await this.product.run(...words)
    const found = (json.guarantees as { name: string; level: string; why: string }[]).find(
      ({ name }) => name === clause,
    )
    if (!found) throw new Error(`the plan says nothing of the clause ${clause}`)
    return found
  }
  async quarantined(): Promise<boolean> {
    const { json } = await this.product.run('status', '--config', 'agent.yaml')
    return (json.quarantines as readonly unknown[]).length > 0
  }
  /** Waits for the finding, which comes after its reaction. */
  async told(code: string): Promise<void> {
    const file = join(this.directory, 'events.ndjson')
    const finding = (line: string): boolean =>
      line.includes('"class_uid":2004') && line.includes(`"status_code":"${code}"`)
    const until = performance.now() + PATIENCE_MS
    while (!(existsSync(file) && readFileSync(file, 'utf8').split('\n').some(finding))) {
      if (performance.now() > until) throw new Error(`no finding ${code} was told`)
      await new Promise((done) => setTimeout(done, 50))
    }
  }
}

/** A node of its own with a policy about programs, and an agent that runs while `show` does. */
async function withAgent(site: Site, show: (standing: Standing) => Promise<Row[]>): Promise<Row[]> {
  const { namespace, directory, backends, slot, process, more = '' } = site
  mkdirSync(join(directory, 'next'), { recursive: true })
  const product = new Product(namespace, directory)
  await product.run('init', '.', '--interface', WS.slot)
  const file = join(directory, 'agent.yaml')
  const text = readFileSync(file, 'utf8')
    .replace(/^audience:.*$/m, `audience: ${AUDIENCE}`)
    .replace(/^channel:.*$/m, `channel: ${CHANNEL}`)
    .replace(/^backends:.*$/m, `backends: [${backends.join(', ')}]`)
  writeFileSync(file, `${text}source: {from: pub, inventory: inventory.yaml, interval_seconds: 1}\n${more}`)
  writeFileSync(join(directory, 'inventory.yaml'), inventory(slot))
  await product.run('inventory', 'sign', 'inventory.yaml', '--key', 'keys/inventory.key')
  writeFileSync(join(directory, 'next/fence.yaml'), policy(process))
  const expires = new Date(Date.now() + 3_600_000).toISOString()
  await product.run(
    ...['bundle', 'sign', 'next', '--author', 'keys/author.key', '--release', 'keys/release.key', '--revision', '1'],
    ...['--audience', AUDIENCE, '--channel', CHANNEL, '--expires', expires, '--id', 'programs'],
  )
  await product.run('bundle', 'push', 'next', '--to', 'pub', '--channel', CHANNEL)
  const agent = await product.begin('active', 'agent', '--config', 'agent.yaml', '--json')
  try {
    return await show(new Standing(product, directory))
  } finally {
    await agent.stop()
    await product.run('uninstall', '--yes', '--config', 'agent.yaml')
  }
}

const real = (path: string): string => (existsSync(path) ? realpathSync(path) : path)

async function inGroup(root: string, directory: string): Promise<Row[]> {
  const name = `sluice-demo-${process.pid}`
  const group = join(root, name)
  const [listed, unlisted] = [real('/bin/true'), real('/bin/sleep')]
  const run = (...words: readonly string[]): string => {
    const join = ['-c', `echo 0 >${group}/cgroup.procs && exec "$0" "$@"`]
    return spawnSync('/bin/sh', [...join, ...words]).status === 0 ? 'runs' : 'refused'
  }
  mkdirSync(group)
  execFileSync('ip', ['netns', 'add', name])
  try {
    const site: Site = {
      ...{ namespace: `/run/netns/${name}`, directory, backends: ['ebpf', 'bpf-lsm', 'exec-sensor'] },
      slot: `{ kind: cgroup, interface: ${name} }`,
      process: `{ allow_exec: [${real('/bin/sh')}, ${listed}], reaction: quarantine }`,
    }
    return await withAgent(site, async (standing) => {
      const { level, why } = await standing.guarantee('process')
      const first = run(listed)
      const quiet = (await standing.quarantined()) ? `${first}, quarantined` : first
      const second = run(unlisted, '0')
      await standing.told('unlisted')
      const after = `${second}, told${(await standing.quarantined()) ? ', quarantined' : ''}`
      const expected = `${level === 'enforced' ? 'refused' : 'runs'}, told, quarantined`
      return [
        row(IN_GROUP, `run ${listed}, listed`, 'runs', quiet, 'process'),
        row(IN_GROUP, `run ${unlisted}, not listed`, expected, after, `unlisted, process; ${level}: ${why}`),
      ]
    })
  } finally {
    execFileSync('ip', ['netns', 'del', name])
    rmdirSync(group)
  }
}

async function behindCard(lab: Lab, directory: string): Promise<Row[]> {
  const log = join(directory, 'argus/host/doca_argus_log.log')
  mkdirSync(join(directory, 'argus/host'), { recursive: true })
  const write = (name: string, more: object): void => {
    const record = {
      message_header: { message_id: name },
      workload_information: { unique_identifier: VUID },
      activity_data: { name, ...more },
    }
    appendFileSync(log, `${JSON.stringify(record)}\n`)
  }
  const reach = async (): Promise<string> => {
    const { outcome } = await lab.ws.tcp({ host: OUT.git, port: 80, timeoutMs: 1_000 })
    return outcome === 'connected' ? 'reaches git' : 'cut off'
  }
  const site: Site = {
    ...{ namespace: lab.namespace('node'), directory, backends: ['nftables', 'doca-argus'] },
    slot: `{ kind: representor, interface: ${WS.slot}, vuid: ${VUID} }`,
    process: '{ detect: [reverse-shell], reaction: quarantine }',
    more: 'doca_argus: {records: argus}\n',
  }
  return withAgent(site, async (standing) => {
    const { level, why } = await standing.guarantee('process.detect')
    write('network connection created', { network_connection_details: { peer_address: OUT.git, peer_port: '80' } })
    const before = await reach()
    write('Reverse Shell Detected', {
      process_details: { process_id: '4711', process_executable_path: '/usr/bin/bash' },
      network_connection_details: { peer_address: '::ffff:198.51.100.7', peer_port: '4444' },
    })
    await standing.told('reverse-shell')
    const after = `${(await standing.quarantined()) ? 'quarantined, ' : ''}${await reach()}`
    const clause = `reverse-shell, process.detect; ${level}: ${why}`
    return [
      row(BEHIND_CARD, 'a connection that is granted', 'reaches git', before, 'git'),
      row(BEHIND_CARD, 'a reverse shell of /usr/bin/bash', 'quarantined, cut off', after, clause),
    ]
  })
}

const inventory = (slot: string): string => `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: ${AUDIENCE}
revision: 2
workspaces:
  - id: ${WORKSPACE}
    slot: ${slot}
    mac: "${WS.mac}"
    addresses: ["${WS.v4}", "${WS.v6}"]
    gateway: { mac: "${WS.gatewayMac}", addresses: ["${WS.gateway4}", "${WS.gateway6}"] }
`

const policy = (process: string): string => `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: { name: programs }
applies_to: { workspaces: [${WORKSPACE}] }
egress:
  - { name: git, cidrs: ["${OUT.git}/32"], protocol: tcp, ports: [80] }
process: ${process}
`
