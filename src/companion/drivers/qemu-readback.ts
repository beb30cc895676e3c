// What QEMU and the kernel say that a machine has, judged against what was asked for. It never looks at our own command line: a
// second NIC, a user-mode network, a filter that copies packets, a disk on the network, a descriptor of another tap, an interface in
// QEMU's namespace: each is a finding, whatever put it there. No finding: exactly the ways out that the spec has. What the pieces are
// called depends on who wrote the command line, and is a table (`Expected`).

import type { Json } from '../../base/canonical.js'
import { isObject } from '../../base/json.js'
import { quote } from '../../base/quote.js'
import type { DevicePath, MachineSpec } from './driver.js'

/** A character device: what it is for, and what QEMU says that it is at. */
export interface ExpectedLine {
  readonly kind: DevicePath['kind']
  readonly at: RegExp
}

/** What a machine of some specification has, by the names that it was given. */
export interface Expected {
  /** Type of each device, by its id. */
  readonly devices: ReadonlyMap<string, string>
  /** Ids of the network device and of what is behind it. */
  readonly nic: string
  readonly netdev: string
  /** Classes of PCI devices that may be there without a name: parts of the board. */
  readonly board: ReadonlySet<number>
  readonly chardevs: ReadonlyMap<string, ExpectedLine>
  /** `name type` of objects. */
  readonly objects: RegExp
  /** Driver of each block node; `places`: what those of driver `file` are over. */
  readonly blocks: ReadonlyMap<string, string>
  readonly places: RegExp
}

/** Answers of QMP, as they came; `network` is what the monitor's `info network` prints, which QMP has no command for. */
export interface Answers {
  readonly pci: Json
  readonly network: Json
  readonly chardevs: Json
  readonly peripheral: Json
  readonly anonymous: Json
  readonly objects: Json
  readonly blocks: Json
}

/** What the kernel says of QEMU's process (proc.ts). */
export interface WaysOut {
  /** Names of the taps that its descriptors are bound to, one for each descriptor. */
  readonly taps: readonly string[]
  /** Numbers of the VFIO groups that it holds. */
  readonly groups: readonly string[]
  /** Interfaces of its network namespace. */
  readonly interfaces: readonly string[]
  /** How much rather than others it is ended when memory runs out (proc(5), oom_score_adj); undefined: it went. */
  readonly oomScore?: number
  /** Whose it is and what it may, as this host sees it (proc(5), status); undefined: it went, or does not say. */
  readonly rights?: {
    /** Real, effective, saved and of the file system. */
    readonly users: readonly number[]
    readonly noCapabilities: boolean
    readonly noNewPrivileges: boolean
  }
}

export interface ReadBack {
  readonly paths: readonly DevicePath[]
  /** In words, each for people; empty when everything is as it was asked for. */
  readonly findings: readonly string[]
}

type Members = Readonly<Record<string, Json | undefined>>
const list = (value: Json | undefined): readonly Members[] =>
  Array.isArray(value) ? (value as readonly Json[]).filter((one) => isObject(one)) : []
const members = (value: Json | undefined): Members => (isObject(value) ? value : {})
const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '')

/** PCI classes (PCI Code and ID Assignment, section 1). */
export const HOST_BRIDGE = 0x0600
export const ISA_BRIDGE = 0x0601
const NETWORK = 0x02

export function readBack(spec: MachineSpec, expected: Expected, answers: Answers, kernel: WaysOut): ReadBack {
  const parts = [
    devices(expected, answers),
    pci(expected, answers.pci),
    network(spec, expected, text(answers.network)),
    chardevs(expected, answers.chardevs),
    objects(expected, answers.objects),
    blocks(expected, answers.blocks),
    processes(spec, kernel),
  ]
  return { paths: parts.flatMap(({ paths }) => paths), findings: parts.flatMap(({ findings }) => findings) }
}

const seen = (paths: readonly DevicePath[], findings: readonly string[] = []): ReadBack => ({ paths, findings })

function devices({ devices: expected }: Expected, { peripheral, anonymous }: Answers): ReadBack {
  const found = new Map(
    list(peripheral).flatMap(({ name, type }) => {
      const child = /^child<(.*)>$/.exec(text(type))?.[1]
      return child === undefined ? [] : [[text(name), child] as const]
    }),
  )
  const unnamed = list(anonymous).filter(({ type }) => text(type).startsWith('child<'))
  return seen(
    [],
    [
      ...[...found].flatMap(([name, type]) =>
        expected.get(name) === type ? [] : [`a device ${quote(name)} of type ${quote(type)}`],
      ),
      ...[...expected.keys()].filter((name) => !found.has(name)).map((name) => `the device ${name} is not there`),
      ...unnamed.map(({ type }) => `a device without a name, of type ${quote(text(type))}`),
    ],
  )
}

function pci({ devices: expected, board, nic }: Expected, answer: Json): ReadBack {
  const findings: string[] = []
  const buses = list(answer)
  if (buses.length !== 1) findings.push(`${buses.length} PCI buses`)
  const networks: string[] = []
  for (const device of buses.flatMap((bus) => list(bus.devices))) {
    const id = text(device.qdev_id)
    const code = members(device.class_info).class
    const at = `the PCI device ${quote(id)} in slot ${typeof device.slot === 'number' ? device.slot : '?'}`
    if (device.pci_bridge !== undefined) findings.push(`${at} is a bridge`)
    else if (typeof code !== 'number') findings.push(`${at} has no class`)
    else if (id === '' ? !board.has(code) : !expected.has(id))
      findings.push(`${at} is of class 0x${code.toString(16).padStart(4, '0')}`)
    else if (code >> 8 === NETWORK) networks.push(id)
  }
  if (networks.join() !== nic) findings.push(`${networks.length} network devices on PCI`)
  return seen([], findings)
}

/** net/net.c of QEMU: a line for each NIC, what it is connected to below it; then hubs, and back ends without a NIC. */
function network({ nic }: MachineSpec, names: Expected, printed: string): ReadBack {
  const lines = printed.split(/\r?\n/).filter((line) => line !== '')
  const paths = lines.map(
    (line): DevicePath => ({ kind: 'network', name: line.split(':')[0]?.trim() ?? '', detail: line }),
  )
  const [device = '', behind = '', ...more] = lines
  const below = ` \\ ${names.netdev}: `
  const expected =
    nic.kind === 'vfio'
      ? lines.length === 0
      : device === `${names.nic}: index=0,type=nic,model=virtio-net-pci,macaddr=${nic.mac}` &&
        behind.startsWith(below) &&
        /^index=0,type=tap,fd=\d+$/.test(behind.slice(below.length)) &&
        more.length === 0
  return seen(paths, expected ? [] : [`networks: ${lines.map((line) => quote(line.trim(), 120)).join(', ') || 'none'}`])
}

function chardevs({ chardevs: expected }: Expected, answer: Json): ReadBack {
  const paths: DevicePath[] = []
  const findings: string[] = []
  for (const { label, filename } of list(answer)) {
    const [name, detail] = [text(label), text(filename)]
    const known = expected.get(name)
    const good = known?.at.test(detail) === true
    paths.push({ kind: known && good ? known.kind : 'other', name, detail })
    if (!good) findings.push(`a character device ${quote(name)} at ${quote(detail)}`)
  }
  return seen(paths, findings)
}

/** Objects are memory and entropy; netfilter objects (filter-mirror, filter-redirector, filter-dump) are what must not be there. */
function objects({ objects: known }: Expected, answer: Json): ReadBack {
  return seen(
    [],
    list(answer).flatMap(({ name, type }) => {
      const child = /^child<(.*)>$/.exec(text(type))?.[1]
      return child === undefined || known.test(`${text(name)} ${child}`)
        ? []
        : [`an object ${quote(text(name))} of type ${quote(text(type))}`]
    }),
  )
}

/** Block nodes are the four of a disk over descriptors; drivers that speak to a network (nbd, ssh, http, rbd) are none of them. */
function blocks({ blocks: known, places }: Expected, answer: Json): ReadBack {
  const expected = new Map(known)
  const paths: DevicePath[] = []
  const findings: string[] = []
  for (const { 'node-name': node, drv, file } of list(answer)) {
    const [name, driver, place] = [text(node), text(drv), text(file)]
    const good = expected.get(name) === driver && (driver !== 'file' || places.test(place))
    paths.push({ kind: good ? 'storage' : 'other', name, detail: `${driver} ${place}` })
    if (!good) findings.push(`a disk ${quote(name)}: ${quote(driver)} at ${quote(place)}`)
    expected.delete(name)
  }
  for (const name of expected.keys()) findings.push(`the disk ${name} is not there`)
  return seen(paths, findings)
}

function processes({ nic, user }: MachineSpec, kernel: WaysOut): ReadBack {
  const { taps, groups, interfaces, oomScore = 0, rights } = kernel
  const findings: string[] = []
  const wanted = nic.kind === 'tap' ? nic.interface : ''
  if (taps.join() !== wanted)
    findings.push(`descriptors of the taps ${taps.map((name) => quote(name)).join(', ') || 'none'}`)
  if (groups.length !== (nic.kind === 'vfio' ? 1 : 0)) findings.push(`${groups.length} VFIO groups`)
  if (interfaces.join() !== 'lo')
    findings.push(`the interfaces ${interfaces.map((name) => quote(name)).join(', ')} beside QEMU`)
  // A machine that is spared takes the memory of everything else.
  if (oomScore < 0) findings.push(`it is spared when memory runs out: oom_score_adj is ${oomScore}`)
  // Whoever started it was only asked to make it the machine's own user, without rights.
  if (rights?.users.length !== 4 || rights.users.some((one) => one !== user))
    findings.push(`it runs as the users ${rights?.users.join(', ') || 'unknown'}, not as ${user}`)
  if (rights?.noCapabilities !== true) findings.push('it has capabilities')
  if (rights?.noNewPrivileges !== true) findings.push('it may get privileges from a program')
  return seen(
    taps.map((name) => ({ kind: 'network', name, detail: 'a tap, by its descriptor' })),
    findings,
  )
}
