// The boot: everything of the kernel's is gone, the network is not up yet, and `sluice floor` closes what the node would fence,
// slots that are there and slots that come; then the agent puts the plan on record back. Under the rights of the systemd
// units as they are in deploy/systemd, as far as the kernel's own rights go.

import { execFileSync, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PROGRAM, RunningAgent, until } from '../support/agent/running.js'
import { OUT, WS } from '../support/lab/addresses.js'
import { command } from '../support/lab/command.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

const BOTH = [ID, ID2]
const PATIENT = 300_000
const UNITS = repositoryPath('deploy/systemd')

/** `setpriv` with the rights that a unit leaves, and where the filter can be built, the rest of its sandbox. */
function rightsOf(unit: string, writable: string): readonly string[] {
  const text = readFileSync(join(UNITS, unit), 'utf8')
  const names = /^CapabilityBoundingSet=(.+)$/m.exec(text)?.[1] ?? ''
  const kept = names.split(' ').map((name) => `+${name.replace('CAP_', '').toLowerCase()}`)
  expect(text).toContain('NoNewPrivileges=yes')
  const rights = ['setpriv', '--inh-caps', '-all', '--bounding-set', ['-all', ...kept].join(',')]
  if (!SANDBOX) return [...rights, '--no-new-privs']
  return [...rights, 'python3', repositoryPath('test/support/agent/under-unit.py'), join(UNITS, unit), writable]
}

/** The lists of system calls are systemd's own, and their numbers those of this processor. */
const SANDBOX =
  process.arch === 'x64' &&
  existsSync('/usr/bin/systemd-analyze') &&
  existsSync('/usr/include/x86_64-linux-gnu/asm/unistd_64.h')

labSuite('a node that boots', () => {
  let lab: Lab
  let agent: RunningAgent
  const nft = (...words: string[]) => lab.exec('node', ['nft', ...words])
  /** Neither tables nor programs: a kernel that has just started. */
  const reboot = async (): Promise<void> => {
    await nft('flush', 'ruleset')
    for (const name of ['ws0', 'ws1', 'up0', 'lo'])
      await lab.exec('node', ['tc', 'qdisc', 'del', 'dev', name, 'clsact'])
  }
  const floor = async (launcher: readonly string[] = []) => {
    const words = [process.execPath, PROGRAM, 'floor', '--config', agent.path('agent.yaml'), '--json']
    const { status, stdout, stderr } = await lab.exec('node', [...launcher, ...words])
    return { exit: status, json: stdout.trim() === '' ? {} : JSON.parse(stdout), stderr }
  }
  const both = async () => [await reach(lab), await reach(lab, OUT.registry)]
  const anew = async (): Promise<void> => {
    // The slot goes and comes back: nothing can have hung on the new interface.
    await lab.exec('node', ['ip', 'link', 'delete', WS.slot])
    const outer = ['link', 'add', WS.slot, 'address', WS.gatewayMac, 'type', 'veth']
    const inner = ['peer', 'name', WS.inside, 'netns', lab.namespace('ws'), 'address', WS.mac]
    expect((await lab.exec('node', ['ip', ...outer, ...inner])).stderr).toBe('')
    for (const words of [
      ['address', 'add', `${WS.gateway4}/24`, 'dev', WS.slot],
      ['link', 'set', WS.slot, 'up'],
    ])
      expect((await lab.exec('node', ['ip', ...words])).stderr).toBe('')
    for (const words of [
      ['address', 'add', `${WS.v4}/24`, 'dev', WS.inside],
      ['link', 'set', WS.inside, 'up'],
      ['route', 'add', 'default', 'via', WS.gateway4],
    ])
      expect((await lab.exec('ws', ['ip', ...words])).stderr).toBe('')
  }

  beforeEach(async () => {
    lab = await openLab()
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS)
  })
  afterEach(async () => {
    await agent?.close()
    await lab?.close()
  })

  it('is closed by the floor, with the rights of its unit and no trust root, until the agent puts the plan back', {
    timeout: PATIENT,
  }, async () => {
    await agent.publish(1, [OUT.git], BOTH)
    agent.launcher = rightsOf('sluice-agent.service', agent.operator.directory)
    agent.start()
    await agent.told('active')
    expect(await both()).toEqual(['connected', 'reset'])
    expect(await floor()).toMatchObject({ exit: 75, json: { error: { code: 'AGENT_BUSY' } } })
    const generation = (await agent.ask('status')).json.live.generation
    expect(await agent.stop()).toBe(0)
    expect(await floor()).toMatchObject({ exit: 0, json: { lines: [{ backend: 'nftables', state: 'stands' }] } })
    expect(await both()).toEqual(['connected', 'reset'])

    await reboot()
    expect(await both()).toEqual(['connected', 'connected'])
    renameSync(agent.path('root.json'), agent.path('root.away'))
    const laid = await floor(rightsOf('sluice-floor.service', agent.operator.directory))
    expect(laid.stderr).toBe('')
    expect(laid).toMatchObject({
      exit: 0,
      json: { bootId: expect.stringMatching(/^[0-9a-f-]{36}$/), lines: [{ backend: 'nftables', state: 'laid' }] },
    })
    expect(await both()).toEqual(['timeout', 'timeout'])
    expect((await lab.ws2.tcp({ host: OUT.git, port: 80, timeoutMs: 600 })).outcome).toBe('timeout')
    const { json } = await agent.ask('doctor', '--config', 'agent.yaml')
    expect(json.floor).toMatchObject({ thisBoot: true, laid: { lines: [{ backend: 'nftables', state: 'laid' }] } })

    renameSync(agent.path('root.away'), agent.path('root.json'))
    renameSync(agent.path('pub'), agent.path('gone'))
    agent.start()
    expect((await agent.told('stands')).detail).toEqual({ state: 'restored', generation })
    await until('the workspace to be let in', async () => (await reach(lab)) === 'connected')
    expect(await reach(lab, OUT.registry)).toBe('reset')
    expect(agent.events().map(({ status_code }) => status_code)).not.toContain('drift')
  })

  it('follows a rotated trust root with the rights of its unit, which leave it the folder of its configuration', {
    timeout: PATIENT,
  }, async () => {
    await agent.publish(1, [OUT.git], BOTH)
    const etc = mkdtempSync(join(tmpdir(), 'sluice-etc-'))
    try {
      await agent.must('bundle keygen --role root --kid root --out keys')
      const root = JSON.parse(readFileSync(agent.path('root.json'), 'utf8'))
      Object.assign(root.keys, JSON.parse(readFileSync(agent.path('keys/root.pub.json'), 'utf8')))
      root.roles.root = { threshold: 1 }
      for (const folder of [etc, agent.operator.directory])
        writeFileSync(join(folder, 'root.json'), JSON.stringify(root))
      const yaml = readFileSync(agent.path('agent.yaml'), 'utf8')
      writeFileSync(agent.path('agent.yaml'), yaml.replace(/^trust_root:.*$/m, `trust_root: ${etc}/root.json`))
      agent.launcher = rightsOf('sluice-agent.service', `${agent.operator.directory},/etc/sluice=${etc}`)
      agent.start()
      await agent.told('active')
      await agent.must('bundle keygen --role release --kid release-b --out keys')
      await agent.must(
        'publish rotate root.json --add keys/release-b.pub.json --key keys/root.key --out 2.root.jws.json',
      )
      await agent.must('bundle push --to pub --channel stable --root 2.root.jws.json')
      expect((await agent.told('root')).detail).toEqual({ version: 2 })
      expect(JSON.parse(readFileSync(join(etc, 'root.json'), 'utf8'))).toMatchObject({ version: 2 })
    } finally {
      rmSync(etc, { recursive: true })
    }
  })

  it('ends what runs in a cgroup with the rights of its unit', { timeout: PATIENT }, async (context) => {
    const root = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((at) => existsSync(join(at, 'cgroup.controllers')))
    if (root === undefined) return context.skip('no unified cgroup hierarchy')
    const name = `sluice-unit-${process.pid}`
    mkdirSync(join(root, name))
    try {
      const child = spawn('sleep', ['600'])
      const ended = new Promise((resolve) => child.once('exit', (_code, by) => resolve(by)))
      writeFileSync(join(root, name, 'cgroup.procs'), String(child.pid))
      const slot = JSON.stringify({ kind: 'cgroup', interface: name })
      const program = `import { endWorkspace } from ${JSON.stringify(repositoryPath('dist/agent/kill.js'))}
        process.stdout.write(await endWorkspace(${slot}))`
      const rights = rightsOf('sluice-agent.service', agent.operator.directory)
      const { stdout, stderr } = await command([...rights, process.execPath, '--input-type=module', '-e', program])
      expect([stdout, stderr]).toEqual(['ended', ''])
      expect(await ended).toBe('SIGKILL')
    } finally {
      rmdirSync(join(root, name))
    }
  })

  it('without anything on record closes the interfaces that only fenced traffic may use', {
    timeout: PATIENT,
  }, async () => {
    expect(await both()).toEqual(['connected', 'connected'])
    expect(await floor()).toMatchObject({ exit: 0, json: { lines: [{ backend: 'nftables', state: 'laid' }] } })
    expect(await both()).toEqual(['timeout', 'timeout'])
    await agent.publish(1, [OUT.git], BOTH)
    agent.start()
    expect((await agent.told('stands')).detail).toMatchObject({ state: 'closed' })
    await agent.told('active')
    await until('the workspace to be let in', async () => (await reach(lab)) === 'connected')
  })

  it.each(['nftables', 'ebpf'])(
    'under %s a slot that comes later is closed too',
    { timeout: PATIENT },
    async (backend) => {
      const yaml = readFileSync(agent.path('agent.yaml'), 'utf8')
      writeFileSync(agent.path('agent.yaml'), yaml.replace(/^backends:.*$/m, `backends: [${backend}]`))
      try {
        expect(await floor()).toMatchObject({ exit: 0, json: { lines: [{ backend, state: 'laid' }] } })
        await anew()
        expect(await reach(lab)).not.toBe('connected')
      } finally {
        await agent.ask('uninstall', '--yes')
      }
      await until('what was closed to be open when it is uninstalled', async () => (await reach(lab)) === 'connected')
    },
  )

  it('says what it cannot close', { timeout: PATIENT }, async () => {
    const yaml = readFileSync(agent.path('agent.yaml'), 'utf8')
    writeFileSync(agent.path('agent.yaml'), yaml.replace(/^backends:.*$/m, 'backends: [memory]'))
    expect(await floor()).toMatchObject({
      exit: 3,
      json: {
        error: {
          code: 'AGENT_FLOOR_NONE',
          say: 'this node is not closed before its network: memory: it fences nothing without a process that stays',
        },
      },
    })
  })
})

describe('the systemd units', () => {
  for (const name of readdirSync(UNITS).filter((one) => /\.(service|socket)$/.test(one)))
    it(`${name} is understood`, (context) => {
      try {
        execFileSync('systemd-analyze', ['--version'], { stdio: 'pipe' })
      } catch {
        context.skip('systemd-analyze is not there')
      }
      const folder = mkdtempSync(join(tmpdir(), 'sluice-units-'))
      try {
        // The program is not installed here, and `verify` looks for it.
        const text = readFileSync(join(UNITS, name), 'utf8').replaceAll('/usr/bin/sluice', '/bin/true')
        writeFileSync(join(folder, name), text)
        // A socket is verified with the service that it starts.
        if (name.endsWith('.socket'))
          writeFileSync(
            join(folder, name.replace('.socket', '.service')),
            '[Unit]\nDescription=Stands for it\n[Service]\nExecStart=/bin/true\n',
          )
        const said = execFileSync('sh', ['-c', `systemd-analyze verify ${folder}/${name} 2>&1`], { encoding: 'utf8' })
        expect(said).toBe('')
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
})
