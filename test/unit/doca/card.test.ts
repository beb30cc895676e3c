// Recognising a BlueField: what tools print, what follows from it, and a whole look at file systems made up here. The outputs were
// written by us after the manuals' formats; none was recorded on a card.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { docaCapabilities } from '../../../src/backends/doca-flow/capabilities.js'
import { type CardWorld, lookForCard } from '../../../src/backends/doca-flow/card.js'
import { passes } from '../../../src/backends/doca-flow/card-judge.js'
import {
  configValue,
  devlinkPorts,
  eswitchMode,
  firmware,
  flows,
  hugepages,
  names,
  privilege,
} from '../../../src/backends/doca-flow/card-text.js'

const CONFIG = (model: string, engine: string): string => `
Device #1:
----------

Device type:        BlueField3
Name:               900-9D3B6-00CV-A_Ax
Device:             0000:03:00.0

Configurations:                                      Default                 Current                 Next Boot
        INTERNAL_CPU_MODEL                          EMBEDDED_CPU(1)         ${model}         EMBEDDED_CPU(1)
        INTERNAL_CPU_OFFLOAD_ENGINE                 ENABLED(0)              ${engine}              ENABLED(0)
`
const DPU = CONFIG('EMBEDDED_CPU(1)', 'ENABLED(0)')
const PRIVHOST = (level: string, flag: string): string => `Host configurations
-------------------
level                         : ${level}

Port functions status:
-----------------------
disable_rshim                 : ${flag}
disable_tracer                : ${flag}
disable_counter_rd            : ${flag}
disable_port_owner            : ${flag}
`
const FLINT = `Image type:            FS4
FW Version:            32.43.1014
FW Release Date:       7.11.2024
PSID:                  MT_0000000884
`
const ESWITCH = 'pci/0000:03:00.0: mode switchdev inline-mode none encap-mode basic\n'
const PORTS = `pci/0000:03:00.0/65535: type eth netdev p0 flavour physical port 0 splittable false
pci/0000:03:00.0/131072: type eth netdev pf0hpf flavour pcipf controller 1 pfnum 0 external true splittable false
pci/0000:03:00.0/131073: type eth netdev pf0vf0 flavour pcivf controller 1 pfnum 0 vfnum 0 external true splittable false
`
const MEMORY =
  'MemTotal: 32000000 kB\nHugePages_Total:    2048\nHugePages_Free:     1500\nHugepagesize:       2048 kB\n'
const NORMAL = ' cookie=0x0, duration=81.2s, table=0, n_packets=5, n_bytes=420, priority=0 actions=NORMAL\n'
const DROP = ' cookie=0x0, duration=81.2s, table=0, n_packets=0, n_bytes=0, priority=0 actions=drop\n'
const flow = (match: string, actions: string): string =>
  ` cookie=0x0, duration=1.5s, table=0, n_packets=0, n_bytes=0, ${match} actions=${actions}\n`

describe('what the tools print', () => {
  it('mlxconfig: the value in force, not the next boot’s', () => {
    expect(configValue(CONFIG('SEPARATED_HOST(0)', 'DISABLED(1)'), 'INTERNAL_CPU_MODEL')).toBe('SEPARATED_HOST')
    expect(configValue(CONFIG('SEPARATED_HOST(0)', 'DISABLED(1)'), 'INTERNAL_CPU_OFFLOAD_ENGINE')).toBe('DISABLED')
    expect(configValue('        INTERNAL_CPU_MODEL        EMBEDDED_CPU(1)\n', 'INTERNAL_CPU_MODEL')).toBe(
      'EMBEDDED_CPU',
    )
    expect(configValue('-E- Failed to open the device', 'INTERNAL_CPU_MODEL')).toBeUndefined()
  })
  it('mlxprivhost', () => {
    expect(privilege(PRIVHOST('RESTRICTED', 'TRUE'))).toEqual({
      level: 'RESTRICTED',
      disabled: ['disable_rshim', 'disable_tracer', 'disable_counter_rd', 'disable_port_owner'],
    })
    expect(privilege(PRIVHOST('PRIVILEGED', 'FALSE'))).toEqual({ level: 'PRIVILEGED', disabled: [] })
    expect(privilege('')).toBeUndefined()
  })
  it('flint, devlink, meminfo and lists', () => {
    expect(firmware(FLINT)).toEqual({ version: '32.43.1014', psid: 'MT_0000000884' })
    expect(firmware('-E- cannot open')).toBeUndefined()
    expect(eswitchMode(ESWITCH)).toBe('switchdev')
    expect(devlinkPorts(PORTS).map(({ netdev, flavour }) => `${netdev} ${flavour}`)).toEqual([
      'p0 physical',
      'pf0hpf pcipf',
      'pf0vf0 pcivf',
    ])
    expect(hugepages(MEMORY)).toEqual({ free: 1500, sizeKiB: 2048 })
    expect(hugepages('MemTotal: 1 kB')).toBeUndefined()
    expect(names('ovsbr1\novsbr2\n\n')).toEqual(['ovsbr1', 'ovsbr2'])
  })
  it('ovs-ofctl: priorities, ports, and whether a flow is about all of a port’s traffic', () => {
    const text = `NXST_FLOW reply (xid=0x4):\n${flow('priority=100,in_port="pf0vf0"', 'drop')}${flow('tcp,in_port=p0,tp_dst=22', 'output:pf0hpf')}${NORMAL}`
    expect(flows(text)).toEqual([
      { table: 0, priority: 100, inPort: 'pf0vf0', narrow: false, actions: 'drop' },
      { table: 0, priority: 32_768, inPort: 'p0', narrow: true, actions: 'output:pf0hpf' },
      { table: 0, priority: 0, narrow: false, actions: 'NORMAL' },
    ])
    expect(flows('')).toEqual([])
    expect(flows('ovs-ofctl: ovsbr1 is not a bridge or a socket')).toBeUndefined()
  })
})

describe('a bridge underneath', () => {
  const judged = (text: string): string[] =>
    passes({ name: 'ovsbr1', ports: ['p0', 'pf0hpf', 'pf0vf0'], flows: undefined }, flows(text) ?? [], 'pf0vf0')

  it.each([
    ['an empty table', ''],
    ['a default of drop', DROP],
    [
      'drops for the workspace, and the host goes on',
      `${flow('priority=10,in_port=pf0vf0', 'drop')}${DROP}${flow('priority=5,in_port=p0', 'output:pf0hpf')}`,
    ],
    ['a forward that a broader drop is stronger than', `${flow('priority=10', 'drop')}${NORMAL}`],
  ])('drops: %s', (_name, text) => {
    expect(judged(text)).toEqual([])
  })

  it.each([
    ['as it is delivered', NORMAL, 'ovsbr1: priority 0 from any port does NORMAL'],
    [
      'a hole above the drop',
      `${flow('priority=10,udp,in_port=pf0vf0,tp_dst=53', 'output:p0')}${DROP}`,
      'ovsbr1: priority 10 from pf0vf0 does output:p0',
    ],
    [
      'towards the workspace',
      `${flow('priority=10,in_port=pf0vf0', 'drop')}${flow('priority=9,in_port=p0', 'output:pf0vf0')}${DROP}`,
      'ovsbr1: priority 9 from p0 does output:pf0vf0',
    ],
    [
      'another table',
      `${flow('priority=1,in_port=pf0vf0', 'resubmit(,7)')}${DROP}`,
      'ovsbr1: priority 1 from pf0vf0 does resubmit(,7)',
    ],
    [
      'a number that may be the workspace’s',
      `${flow('priority=1,in_port=3', 'output:1')}${DROP}`,
      'ovsbr1: priority 1 from 3 does output:1',
    ],
    ['equal priorities', `${DROP}${NORMAL}`, 'ovsbr1: priority 0 from any port does NORMAL'],
    [
      'a drop of another number',
      `${flow('priority=9,in_port=3', 'drop')}${NORMAL}`,
      'ovsbr1: priority 0 from any port does NORMAL',
    ],
  ])('passes: %s', (_name, text, why) => {
    expect(judged(text)).toContain(why)
  })
})

describe('a look at a machine', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sluice-card-'))
  })
  afterEach(() => {
    rmSync(root, { recursive: true, force: true })
  })
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), `${text}\n`)
  }
  const card = (device = '0xa2dc'): void => {
    put('sys/bus/pci/devices/0000:03:00.0/vendor', '0x15b3')
    put('sys/bus/pci/devices/0000:03:00.0/device', device)
  }
  const onArm = (): void => {
    card()
    put('etc/mlnx-release', 'bf-bundle-3.0.0-135_25.04_ubuntu-22.04_prod')
    put('opt/mellanox/doca/applications/VERSION', '3.0.0058')
    put('proc/meminfo', MEMORY)
  }
  const master = (port: string, name: string): void => {
    mkdirSync(join(root, `sys/class/net/${port}`), { recursive: true })
    symlinkSync(`../../${name}`, join(root, `sys/class/net/${port}/master`))
    mkdirSync(join(root, `sys/${name}`), { recursive: true })
  }
  const TOOLS: Record<string, string> = {
    mlxconfig: DPU,
    mlxprivhost: PRIVHOST('PRIVILEGED', 'FALSE'),
    flint: FLINT,
    'devlink dev': ESWITCH,
    'devlink port': PORTS,
    'ovs-vsctl list-br': 'ovsbr1\n',
    'ovs-vsctl list-ports': 'p0\npf0hpf\npf0vf0\n',
    'ovs-ofctl': DROP,
  }
  const look = (tools: Record<string, string>, arch = 'arm64') => {
    const asked: string[] = []
    const run: CardWorld['run'] = (argv) => {
      asked.push(argv.join(' '))
      return tools[`${argv[0]} ${argv[1]}`] ?? tools[argv[0] ?? '']
    }
    return { ...lookForCard({ root, arch, run }), asked }
  }
  const answers = (seen: ReturnType<typeof look>): string[] =>
    seen.probes.map(({ feature, answer }) => `${feature} ${answer}`)
  const usable = ({ probes, trustDomain }: ReturnType<typeof look>) => {
    const made = (['library', 'device', 'ipv6'] as const).map((feature) => ({
      feature,
      answer: 'yes' as const,
      why: '',
    }))
    const { usable: can, why } = docaCapabilities({ backend: 'doca-flow', trustDomain, probes: [...made, ...probes] })
    return can ? 'usable' : why
  }

  it('says in one line that there is none, and asks no tool', () => {
    const seen = look(TOOLS, 'x64')
    expect(seen).toMatchObject({
      found: false,
      trustDomain: 'host',
      asked: [],
      probes: [{ feature: 'card', answer: 'no', why: 'no BlueField: no PCI device 15b3:a2d2, a2d6 or a2dc' }],
    })
  })

  it('finds nothing in another vendor’s device of the same number', () => {
    put('sys/bus/pci/devices/0000:03:00.0/vendor', '0x8086')
    put('sys/bus/pci/devices/0000:03:00.0/device', '0xa2dc')
    expect(look(TOOLS).found).toBe(false)
  })

  it('tells the host’s side: the fence is not here', () => {
    card('0xa2d6')
    const seen = look(TOOLS, 'x64')
    expect(seen).toMatchObject({ found: true, trustDomain: 'host' })
    expect(seen.probes[0]).toEqual({
      feature: 'card',
      answer: 'no',
      why: 'BlueField-2 at 0000:03:00.0, seen from the host: the fence stands on its Arm, so run the agent there',
    })
    expect(usable(seen)).toContain('seen from the host')
  })

  it('an Arm server with a card in it is a host too', () => {
    card()
    expect(look(TOOLS, 'arm64').probes[0]?.why).toContain('seen from the host')
  })

  it('is usable on the Arm of a card in DPU mode over a bridge that drops', () => {
    onArm()
    master('pf0vf0', 'ovs-system')
    const seen = look(TOOLS)
    expect(answers(seen)).toEqual([
      'card yes',
      'mode yes',
      'zero-trust no',
      'eswitch yes',
      'firmware yes',
      'doca yes',
      'hugepages yes',
      'representors yes',
      'bridge yes',
    ])
    expect(seen.trustDomain).toBe('dpu-host-trusted')
    expect(seen.probes.find(({ feature }) => feature === 'doca')?.why).toBe(
      '3.0.0058, image bf-bundle-3.0.0-135_25.04_ubuntu-22.04_prod',
    )
    expect(usable(seen)).toBe('usable')
  })

  it('is a domain of its own when the host is restricted', () => {
    onArm()
    expect(look({ ...TOOLS, mlxprivhost: PRIVHOST('RESTRICTED', 'TRUE') }).trustDomain).toBe('dpu-restricted')
  })

  it.each([
    ['NIC mode', { mlxconfig: CONFIG('EMBEDDED_CPU(1)', 'DISABLED(1)') }, 'mode: NIC mode'],
    ['separated host', { mlxconfig: CONFIG('SEPARATED_HOST(0)', 'ENABLED(0)') }, 'mode: SEPARATED_HOST'],
    ['legacy eSwitch', { 'devlink dev': 'pci/0000:03:00.0: mode legacy\n' }, 'eswitch: legacy'],
    [
      'a bridge that forwards',
      { 'ovs-ofctl': NORMAL },
      'bridge: traffic would pass if the agent died: ovsbr1: priority 0',
    ],
    [
      'a bridge that cannot be asked',
      { 'ovs-ofctl': 'ovs-ofctl: not a bridge' },
      "bridge: the flows of pf0vf0's bridge",
    ],
    ['no representors', { 'devlink port': '' }, 'bridge: without a list of representors'],
  ])('refuses to fence: %s', (_name, tools, why) => {
    onArm()
    master('pf0vf0', 'ovs-system')
    expect(usable(look({ ...TOOLS, ...tools }))).toContain(why)
  })

  it('refuses over a Linux bridge, which forwards by itself', () => {
    onArm()
    master('pf0vf0', 'br0')
    expect(usable(look(TOOLS))).toContain('pf0vf0 is a port of the Linux bridge br0')
  })

  it('counts what no tool could say as no', () => {
    onArm()
    const seen = look({})
    expect(answers(seen)).toEqual([
      'card yes',
      'mode could-not-tell',
      'zero-trust could-not-tell',
      'eswitch could-not-tell',
      'firmware could-not-tell',
      'doca yes',
      'hugepages yes',
      'representors could-not-tell',
      'bridge could-not-tell',
    ])
    expect(seen.trustDomain).toBe('dpu-host-trusted')
    expect(usable(seen)).toContain('bridge: without a list of representors')
  })
})
