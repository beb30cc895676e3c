// Processes of the host as a workspace: the fence on their cgroup. The processes run in the second workspace's namespace of the
// laboratory, inside a cgroup of this suite; a process beside them is not fenced. Needs root and a unified cgroup hierarchy.

import { mkdirSync, rmdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { cgroupRoot } from '../../src/backends/ebpf/cgroup.js'
import { EbpfDriver } from '../../src/backends/ebpf/driver.js'
import { lower } from '../../src/backends/ebpf/lower.js'
import { sliceFor } from '../../src/plan/codec.js'
import type { Clause } from '../../src/policy/model.js'
import { enter, remember } from '../support/ebpf/seclusion.js'
import { OUT, WS2 } from '../support/lab/addresses.js'
import { command } from '../support/lab/command.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { compile, ENTRY, egress, ingress, MEMORY, policy, WS } from '../support/plans.js'

const GROUP = `slu-ebpf-${process.pid}`

/** Connects or sends, and prints what came of it: `connected`, `answered`, or the system's error code. */
const PROBE = `
const [kind, host, port] = process.argv.slice(1)
const say = (word) => { console.log(word); process.exit(0) }
setTimeout(() => say('timeout'), 700)
if (kind === 'tcp') {
  const socket = require('net').connect({ host, port: Number(port) })
  socket.on('connect', () => say('connected')).on('error', (error) => say(error.code))
} else {
  const socket = require('dgram').createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', () => say('answered')).on('error', (error) => say(error.code))
  socket.send('x', Number(port), host, (error) => error && say(error.code))
}`

labSuite('ebpf on a cgroup', () => {
  const root = cgroupRoot()
  let lab: Lab
  let driver: EbpfDriver
  let back: () => void
  let generation = 0

  const apply = async (clauses: readonly Clause[]): Promise<void> => {
    const slot = {
      kind: 'cgroup' as const,
      interface: GROUP,
      mac: '',
      addresses: [WS2.v4, WS2.v6],
      gateway: { mac: '', addresses: [] },
    }
    const { plan } = compile([policy(clauses)], MEMORY, [{ ...ENTRY, slot }])
    if (!plan) throw new Error('no plan')
    await driver.commit(await driver.stage(lower(sliceFor(plan, 'memory', ++generation))))
  }
  /** Runs the probe inside the cgroup, or beside it. */
  const probe = async (kind: 'tcp' | 'udp', host: string, port: number, inside = true): Promise<string> => {
    const join = inside ? `echo $$ > ${root}/${GROUP}/cgroup.procs;` : ''
    const script = `${join} exec ip netns exec ${lab.namespace('ws2')} ${process.execPath} -e "$0" "$@"`
    const { stdout } = await command(['sh', '-c', script, PROBE, kind, host, String(port)])
    return stdout.trim()
  }

  beforeAll(async () => {
    if (root === undefined) return
    back = remember()
    lab = await openLab()
    mkdirSync(`${root}/${GROUP}`)
    enter(lab.namespace('node'))
    driver = await EbpfDriver.open({ attachInterfaces: [], stateDirectory: '' })
  })
  afterAll(async () => {
    if (root === undefined) return
    await driver?.uninstall()
    back()
    await lab.close()
    rmdirSync(`${root}/${GROUP}`)
  })

  it('fences what its processes send, and nobody else', async (context) => {
    if (root === undefined) context.skip('no unified cgroup hierarchy')
    expect(await probe('tcp', OUT.git, 443)).toBe('connected')
    await apply([egress('git', [OUT.git, OUT.git6], 'tcp', ['443']), egress('log', [OUT.git], 'udp', ['514'])])
    expect(await probe('tcp', OUT.git, 443)).toBe('connected')
    expect(await probe('tcp', OUT.git6, 443)).toBe('connected')
    expect(await probe('tcp', `::ffff:${OUT.git}`, 443)).toBe('connected')
    expect(await probe('udp', OUT.git, 514)).toBe('answered')
    expect(await probe('tcp', OUT.git, 80)).toBe('EPERM')
    expect(await probe('tcp', OUT.unlisted, 443)).toBe('EPERM')
    expect(await probe('tcp', `::ffff:${OUT.unlisted}`, 443)).toBe('EPERM')
    expect(await probe('tcp', OUT.unlisted6, 443)).toBe('EPERM')
    expect(await probe('tcp', OUT.metadata, 80)).toBe('EPERM')
    expect(await probe('udp', OUT.git, 5000)).toBe('EPERM')
    expect(await probe('tcp', OUT.unlisted, 443, false)).toBe('connected')
    const { live, drift, drops } = await driver.observe()
    expect([live?.workspaces, drift]).toEqual([[WS], []])
    expect(drops.never).toBeGreaterThan(0n)
  })

  it('quarantines, and holds with the agent gone', async (context) => {
    if (root === undefined) context.skip('no unified cgroup hierarchy')
    await driver.flag(WS, 'quarantined', true)
    expect(await probe('tcp', OUT.git, 443)).toBe('EPERM')
    await driver.flag(WS, 'quarantined', false)
    await driver.close()
    expect(await probe('tcp', OUT.git, 443)).toBe('connected')
    expect(await probe('tcp', OUT.git, 80)).toBe('EPERM')
    driver = await EbpfDriver.open({ attachInterfaces: [], stateDirectory: '' })
    expect((await driver.observe()).live?.generation).toBe(generation)
  })

  it('lets in whom it grants', async (context) => {
    if (root === undefined) context.skip('no unified cgroup hierarchy')
    await apply([ingress('broker', [`${OUT.broker}/32`], 'tcp', ['22'])])
    const script = `echo $$ > ${root}/${GROUP}/cgroup.procs; exec ip netns exec ${lab.namespace('ws2')} ${process.execPath} -e "$0"`
    const server = command([
      'sh',
      '-c',
      script,
      `require('net').createServer((s) => s.end('hi')).listen(22); setTimeout(() => process.exit(), 2500)`,
    ])
    await new Promise((done) => setTimeout(done, 700))
    const at = { host: WS2.v4, port: 22, timeoutMs: 400 }
    expect(await lab.out.tcp({ ...at, localAddress: OUT.broker })).toMatchObject({ outcome: 'connected' })
    expect(await lab.out.tcp({ ...at, localAddress: OUT.git })).toMatchObject({ outcome: 'timeout' })
    await server
  })

  it('is taken away whole', async (context) => {
    if (root === undefined) context.skip('no unified cgroup hierarchy')
    await driver.uninstall()
    expect(await probe('tcp', OUT.unlisted, 443)).toBe('connected')
  })
})
