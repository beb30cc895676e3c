// Looks at this machine for a BlueField: PCI functions and netdevices in sysfs, release files, and the tools that say the rest.
// Nothing is changed, and nothing is asked of a machine that has no such card. A tool that is missing, fails or hangs leaves its
// part unknown.

import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { TrustDomain } from '../../policy/model.js'
import type { Probe } from '../backend.js'
import { BLUEFIELDS, type Bridge, type CardSeen, domainOf, judgeCard } from './card-judge.js'
import { configValue, devlinkPorts, eswitchMode, firmware, flows, hugepages, names, privilege } from './card-text.js'

const TOOL_MS = 10_000
const MELLANOX = '0x15b3'
/** Only the images of the card's own Arm have them. */
const ARM_FILES = ['etc/mlnx-release', 'etc/nvidia/bf-release']
const DOCA_RELEASE = 'opt/mellanox/doca/applications/VERSION'

export interface CardWorld {
  /** Of the file system; '/' but in tests. */
  readonly root: string
  /** Node's name of the processor. */
  readonly arch: string
  /** The output of a command, or undefined when it gave none. */
  readonly run: (argv: readonly string[]) => string | undefined
}

export interface Card {
  readonly found: boolean
  readonly trustDomain: TrustDomain
  readonly probes: readonly Probe[]
}

export const THIS_MACHINE: CardWorld = {
  root: '/',
  arch: process.arch,
  run: ([file = '', ...rest]) => {
    try {
      return execFileSync(file, rest, { encoding: 'utf8', timeout: TOOL_MS, stdio: ['ignore', 'pipe', 'ignore'] })
    } catch {
      // Not installed, not allowed, or not for this card: what it would have said stays unknown.
      return undefined
    }
  },
}

export function lookForCard(world: CardWorld = THIS_MACHINE): Card {
  const seen = see(world)
  return { found: seen.functions.length > 0, trustDomain: domainOf(seen), probes: judgeCard(seen) }
}

function see(world: CardWorld): CardSeen {
  const { root, arch, run } = world
  const read = (path: string): string | undefined => {
    const file = join(root, path)
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined
  }
  const list = (path: string): string[] => (existsSync(join(root, path)) ? readdirSync(join(root, path)).sort() : [])
  const functions = list('sys/bus/pci/devices').flatMap((address) => {
    const at = `sys/bus/pci/devices/${address}`
    const device = read(`${at}/device`)?.replace(/^0x/, '') ?? ''
    return read(`${at}/vendor`) === MELLANOX && device in BLUEFIELDS ? [{ address, device }] : []
  })
  const masters = new Map(
    list('sys/class/net').flatMap((name) => {
      const master = join(root, 'sys/class/net', name, 'master')
      return lstatSync(master, { throwIfNoEntry: false }) ? [[name, basename(readlinkSync(master))] as const] : []
    }),
  )
  const [first] = functions
  if (!first) return { functions, arm: false, masters }
  const { address } = first
  /** What a parser makes of a command's output. */
  const ask = <T>(parse: (text: string) => T | undefined, ...argv: string[]): T | undefined => {
    const text = run(argv)
    return text === undefined ? undefined : parse(text)
  }
  const config = run(['mlxconfig', '-e', '-d', address, 'q', 'INTERNAL_CPU_MODEL', 'INTERNAL_CPU_OFFLOAD_ENGINE'])
  return defined<CardSeen>({
    functions,
    arm: arch === 'arm64' && ARM_FILES.some((path) => read(path) !== undefined),
    masters,
    cpuModel: config === undefined ? undefined : configValue(config, 'INTERNAL_CPU_MODEL'),
    offloadEngine: config === undefined ? undefined : configValue(config, 'INTERNAL_CPU_OFFLOAD_ENGINE'),
    privilege: ask(privilege, 'mlxprivhost', '-d', address, 'q'),
    firmware: ask(firmware, 'flint', '-d', address, 'q'),
    eswitch: ask(eswitchMode, 'devlink', 'dev', 'eswitch', 'show', `pci/${address}`),
    release: ARM_FILES.map(read).find((text) => text !== undefined),
    doca: read(DOCA_RELEASE),
    hugepages: hugepages(read('proc/meminfo') ?? ''),
    ports: ask(devlinkPorts, 'devlink', 'port', 'show'),
    bridges: ask((text) => names(text).map((name) => bridgeOf(run, name)), 'ovs-vsctl', 'list-br'),
  })
}

function bridgeOf(run: CardWorld['run'], name: string): Bridge {
  const dumped = run(['ovs-ofctl', '--names', 'dump-flows', name])
  return {
    name,
    ports: names(run(['ovs-vsctl', 'list-ports', name]) ?? ''),
    flows: dumped === undefined ? undefined : flows(dumped),
  }
}

/** Without the members that are undefined. */
const defined = <T extends object>(of: { [K in keyof T]: T[K] | undefined }): T =>
  Object.fromEntries(Object.entries(of).filter(([, value]) => value !== undefined)) as T
