// The cgroup of a machine: its limits, and the one true list of its processes, which none of them can leave. Works with the unified
// hierarchy (cgroup-v2 of the kernel's admin guide) and with one hierarchy a controller (cgroup-v1). A host that cannot hold CPU time,
// memory and processes is refused: MACHINE_UNSUPPORTED.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { companionFault } from '../errors.js'
import type { MachineId, MachineLimits } from './driver.js'

const PERIOD_US = 100_000
const MIB = 1 << 20
type Controller = 'cpu' | 'memory' | 'pids'
const CONTROLLERS = ['cpu', 'memory', 'pids'] as const satisfies readonly Controller[]

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
  ) {}

  /** Throws MACHINE_UNSUPPORTED. `parent`: the group that has those of all machines; `mount`: where cgroups are mounted. */
  static open(parent: string, mount = '/sys/fs/cgroup'): MachineGroups {
    const list = join(mount, 'cgroup.controllers')
    const there = existsSync(list) ? readFileSync(list, 'utf8').trim().split(' ') : undefined
    const missing = CONTROLLERS.filter((one) => !(there ? there.includes(one) : existsSync(join(mount, one, 'tasks'))))
    if (missing.length > 0)
      throw companionFault('MACHINE_UNSUPPORTED', {
        what: 'machines',
        why: `${mount} has no cgroup controller ${missing.join(', ')}`,
      })
    const root = (one: Controller): string => (there ? mount : join(mount, one))
    return new MachineGroups(parent, there ? 'unified' : 'split', {
      cpu: root('cpu'),
      memory: root('memory'),
      pids: root('pids'),
    })
  }

  /** Makes the group with its limits; the files that a process writes its number to, to be inside. */
  make(id: MachineId, limits: MachineLimits): readonly string[] {
    for (const root of this.uniqueRoots()) {
      mkdirSync(join(root, this.parent), { recursive: true })
      if (this.kind === 'unified')
        for (const at of [root, join(root, this.parent)])
          writeFileSync(join(at, 'cgroup.subtree_control'), CONTROLLERS.map((one) => `+${one}`).join(' '))
    }
    for (const group of this.groups(id)) mkdirSync(group, { recursive: true })
    for (const knob of KNOBS[this.kind]) writeFileSync(this.at(knob, id), knob.write(limits))
    return this.groups(id).map((group) => join(group, 'cgroup.procs'))
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
    for (const group of this.groups(id)) {
      const file = join(group, 'cgroup.procs')
      if (existsSync(file))
        for (const line of readFileSync(file, 'utf8').split('\n')) if (line !== '') all.add(Number(line))
    }
    return [...all].sort((a, b) => a - b)
  }

  /** Ids that have a group. */
  list(): readonly MachineId[] {
    const ids = new Set<string>()
    for (const root of this.uniqueRoots()) {
      const parent = join(root, this.parent)
      if (!existsSync(parent)) continue
      for (const entry of readdirSync(parent, { withFileTypes: true })) if (entry.isDirectory()) ids.add(entry.name)
    }
    return [...ids].sort()
  }

  /** False while a process is in it. */
  remove(id: MachineId): boolean {
    try {
      for (const group of this.groups(id)) if (existsSync(group)) rmdirSync(group)
      // With the last machine the group of all of them goes.
      for (const root of this.uniqueRoots())
        if (existsSync(join(root, this.parent)) && this.list().length === 0) rmdirSync(join(root, this.parent))
      return true
    } catch (error) {
      if (['EBUSY', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
      throw error
    }
  }

  private uniqueRoots(): readonly string[] {
    return [...new Set(Object.values(this.roots))]
  }
  private groups(id: MachineId): readonly string[] {
    return this.uniqueRoots().map((root) => join(root, this.parent, id))
  }
  private at({ controller, file }: Knob, id: MachineId): string {
    return join(this.roots[controller], this.parent, id, file)
  }
}
