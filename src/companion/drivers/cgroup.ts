// The cgroup of a machine: its limits, and the one true list of its processes, which none of them can leave. Works with the unified
// hierarchy (cgroup-v2 of the kernel's admin guide) and with one hierarchy a controller (cgroup-v1). A host that cannot hold CPU time,
// memory and processes is refused: MACHINE_UNSUPPORTED.
//
// A group may also be one that somebody else makes groups of his own in, as libvirt does in its partitions: it is there in every
// hierarchy then, what is meant by its processes is everything below it, and helpers of ours stand beside his.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { companionFault } from '../errors.js'
import type { MachineId, MachineLimits } from './driver.js'

const PERIOD_US = 100_000
const MIB = 1 << 20
type Controller = 'cpu' | 'memory' | 'pids'
const CONTROLLERS = ['cpu', 'memory', 'pids'] as const satisfies readonly Controller[]
/** Hierarchies that a partition is looked for in, beside these; `unified` is the one without controllers beside the others. */
const OTHERS = [
  'cpuacct',
  'cpuset',
  'devices',
  'freezer',
  'blkio',
  'net_cls',
  'net_prio',
  'perf_event',
  'hugetlb',
  'unified',
]
/** libvirt takes a name with a dot as it is (its documentation of cgroups, "Resource partitions"). */
const PARTITION = '.partition'
const HELPERS = 'helpers'

interface Knob {
  readonly controller: Controller
  readonly file: string
  /** What is written, and what it says when it is read back. */
  readonly write: (limits: MachineLimits) => string
  readonly read: (text: string) => Partial<MachineLimits>
}

const limited = (text: string, make: (value: number) => Partial<MachineLimits>): Partial<MachineLimits> =>
  /^\d+$/.test(text.trim()) ? make(Number(text)) : {}

/** In the order in which they are written. */
const KNOBS: Readonly<Record<'unified' | 'split', readonly Knob[]>> = {
  unified: [
    {
      controller: 'cpu',
      file: 'cpu.max',
      write: ({ cpuPercent }) => `${(cpuPercent * PERIOD_US) / 100} ${PERIOD_US}`,
      read: (text) => limited(text.split(' ')[0] ?? '', (quota) => ({ cpuPercent: (quota * 100) / PERIOD_US })),
    },
    {
      controller: 'memory',
      file: 'memory.max',
      write: ({ memoryMiB }) => String(memoryMiB * MIB),
      read: (text) => limited(text, (bytes) => ({ memoryMiB: bytes / MIB })),
    },
    {
      controller: 'pids',
      file: 'pids.max',
      write: ({ pids }) => String(pids),
      read: (t) => limited(t, (pids) => ({ pids })),
    },
  ],
  split: [
    { controller: 'cpu', file: 'cpu.cfs_period_us', write: () => String(PERIOD_US), read: () => ({}) },
    {
      controller: 'cpu',
      file: 'cpu.cfs_quota_us',
      write: ({ cpuPercent }) => String((cpuPercent * PERIOD_US) / 100),
      read: (text) => limited(text, (quota) => ({ cpuPercent: (quota * 100) / PERIOD_US })),
    },
    {
      controller: 'memory',
      file: 'memory.limit_in_bytes',
      write: ({ memoryMiB }) => String(memoryMiB * MIB),
      // What was never limited is a number near 2^63.
      read: (text) => limited(text, (bytes) => (bytes > 2 ** 60 ? {} : { memoryMiB: bytes / MIB })),
    },
    {
      controller: 'pids',
      file: 'pids.max',
      write: ({ pids }) => String(pids),
      read: (t) => limited(t, (pids) => ({ pids })),
    },
  ],
}

export class MachineGroups {
  private constructor(
    private readonly parent: string,
    private readonly kind: 'unified' | 'split',
    private readonly roots: Readonly<Record<Controller, string>>,
    /** Roots of the other hierarchies, where groups are partitions. */
    private readonly others: readonly string[] | undefined,
  ) {}

  /**
   * Throws MACHINE_UNSUPPORTED. `parent`: the group that has those of all machines; `mount`: where cgroups are mounted; `partitions`:
   * others make groups inside. */
  static open(parent: string, mount = '/sys/fs/cgroup', partitions = false): MachineGroups {
    const list = join(mount, 'cgroup.controllers')
    const there = existsSync(list) ? readFileSync(list, 'utf8').trim().split(' ') : undefined
    const missing = CONTROLLERS.filter((one) => !(there ? there.includes(one) : existsSync(join(mount, one, 'tasks'))))
    if (missing.length > 0)
      throw companionFault('MACHINE_UNSUPPORTED', {
        what: 'machines',
        why: `${mount} has no cgroup controller ${missing.join(', ')}`,
      })
    const root = (one: Controller): string => (there ? mount : join(mount, one))
    const roots = { cpu: root('cpu'), memory: root('memory'), pids: root('pids') }
    const others = there
      ? []
      : OTHERS.map((one) => join(mount, one)).filter((at) => existsSync(join(at, 'cgroup.procs')))
    const name = partitions ? `${parent}${PARTITION}` : parent
    return new MachineGroups(name, there ? 'unified' : 'split', roots, partitions ? others : undefined)
  }

  /** What libvirt calls the group of that machine. */
  partition(id: MachineId): string {
    return `/${this.parent}/${this.named(id)}`
  }

  /** Makes the group with its limits; the files that a process writes its number to, to be inside. */
  make(id: MachineId, limits: MachineLimits): readonly string[] {
    for (const root of this.uniqueRoots()) {
      mkdirSync(join(root, this.parent), { recursive: true })
      if (this.kind === 'unified')
        for (const at of [root, join(root, this.parent)])
          writeFileSync(join(at, 'cgroup.subtree_control'), CONTROLLERS.map((one) => `+${one}`).join(' '))
    }
    for (const group of this.groups(id)) {
      mkdirSync(group, { recursive: true })
      for (const at of [dirname(group), group]) this.giveCpus(at)
    }
    for (const knob of KNOBS[this.kind]) writeFileSync(this.at(knob, id), knob.write(limits))
    return this.groups(id).map((group) => {
      // Of the unified hierarchy, a group with groups inside has no processes itself.
      const at = this.others ? join(group, HELPERS) : group
      mkdirSync(at, { recursive: true })
      this.giveCpus(at)
      return join(at, 'cgroup.procs')
    })
  }

  /** Takes a process in that others have put into a group inside, wherever they have not: with all its threads. */
  adopt(id: MachineId, pid: number): void {
    for (const group of this.groups(id))
      if (!processesBelow(group).includes(pid)) writeFileSync(join(group, 'cgroup.procs'), String(pid))
  }

  /** What the kernel holds it to. */
  limits(id: MachineId): Partial<MachineLimits> {
    let held: Partial<MachineLimits> = {}
    for (const knob of KNOBS[this.kind])
      if (existsSync(this.at(knob, id))) held = { ...held, ...knob.read(readFileSync(this.at(knob, id), 'utf8')) }
    return held
  }

  /** Every process that is in it, by any of the hierarchies. */
  processes(id: MachineId): readonly number[] {
    const all = new Set<number>()
    for (const group of this.groups(id)) for (const pid of processesBelow(group)) all.add(pid)
    return [...all].sort((a, b) => a - b)
  }

  /** Ids that have a group. */
  list(): readonly MachineId[] {
    const ids = new Set<string>()
    for (const root of this.uniqueRoots()) {
      const parent = join(root, this.parent)
      if (!existsSync(parent)) continue
      for (const entry of readdirSync(parent, { withFileTypes: true }))
        if (entry.isDirectory()) ids.add(this.idOf(entry.name))
    }
    return [...ids].sort()
  }

  /** False while a process is in it. */
  remove(id: MachineId): boolean {
    try {
      for (const group of this.groups(id)) removeBelow(group)
      // With the last machine the group of all of them goes.
      for (const root of this.uniqueRoots())
        if (this.list().length === 0)
          unlessGone(() => {
            rmdirSync(join(root, this.parent))
          }, undefined)
      return true
    } catch (error) {
      if (['EBUSY', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
      throw error
    }
  }

  /** Of the split hierarchies, a new group of `cpuset` has no CPUs, and takes no process until it is given some (cpusets(7)). */
  private giveCpus(group: string): void {
    if (this.kind === 'unified') return
    for (const name of ['cpuset.cpus', 'cpuset.mems']) {
      const at = join(group, name)
      if (existsSync(at) && readFileSync(at, 'utf8').trim() === '')
        writeFileSync(at, readFileSync(join(dirname(group), name), 'utf8'))
    }
  }
  private uniqueRoots(): readonly string[] {
    return [...new Set([...Object.values(this.roots), ...(this.others ?? [])])]
  }
  private groups(id: MachineId): readonly string[] {
    return this.uniqueRoots().map((root) => join(root, this.parent, this.named(id)))
  }
  private at({ controller, file }: Knob, id: MachineId): string {
    return join(this.roots[controller], this.parent, this.named(id), file)
  }
  private named(id: MachineId): string {
    return this.others ? `${id}${PARTITION}` : id
  }
  private idOf(name: string): MachineId {
    return this.others && name.endsWith(PARTITION) ? name.slice(0, -PARTITION.length) : name
  }
}

/** A group that goes in the middle has nothing; nor has one of threads, whose processes stand above (ENOTSUP). */
const unlessGone = <T>(look: () => T, nothing: T): T => {
  try {
    return look()
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) return nothing
    throw error
  }
}

const groupsIn = (group: string): readonly string[] =>
  unlessGone(() => readdirSync(group, { withFileTypes: true }), [])
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(group, name))

function processesBelow(group: string): readonly number[] {
  const own = unlessGone(() => readFileSync(join(group, 'cgroup.procs'), 'utf8'), '')
  const pids = own.split('\n').flatMap((line) => (line === '' ? [] : [Number(line)]))
  return [...pids, ...groupsIn(group).flatMap(processesBelow)]
}

function removeBelow(group: string): void {
  for (const inside of groupsIn(group)) removeBelow(inside)
  unlessGone(() => {
    rmdirSync(group)
  }, undefined)
}
