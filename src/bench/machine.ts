// What the machine says of itself: the processor, the kernel, versions, its load, and the counters that cost is read from.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, cpus, hostname, loadavg, release, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from './results.js'
import type { Room } from './standing.js'

/** CPU time of all processors since the boot: at work, and taken by the hypervisor. The kernel counts hundredths of a second. */
export function cpuSeconds(): { readonly busy: number; readonly stolen: number; readonly all: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, stolen = 0] = line
    .split(/\s+/)
    .slice(1)
    .map((ticks) => Number(ticks) / 100)
  const busy = user + nice + system + irq + softirq
  return { busy, stolen, all: busy + idle + wait + stolen }
}

const LOOK_MS = 60
/** Of all processors; the kernel counts hundredths of a second, so one tick of a look on two of them is 0.08. */
const STILL = 0.1

/** Waits until the machine does next to nothing, or so long: what a load leaves behind (memory given back, tables taken apart by the
 * kernel) is no cost of what is measured next. */
export async function calm(mostMs: number): Promise<void> {
  const until = performance.now() + mostMs
  for (let before = cpuSeconds(); performance.now() < until; ) {
    await sleep(LOOK_MS)
    const now = cpuSeconds()
    if (now.busy - before.busy <= STILL * (now.all - before.all)) return
    before = now
  }
}

/** Of capabilities(7). */
const SYS_RESOURCE = 24n
/** As in src/native/bench/load.c. */
const WANTED_DESCRIPTORS = 1 << 20

/** How a reader sees what `kernelMiB` adds up. */
export const KERNEL_MEMORY = "grep -E '^(Slab|Percpu|VmallocUsed):' /proc/meminfo"

/** Slabs, per-CPU areas and vmalloc of the kernel, MiB; other programs move it too. */
export function kernelMiB(): number {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const kb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return (kb('Slab') + kb('Percpu') + kb('VmallocUsed')) / 1024
}

/** What connections that stand may use. */
export function room(): Room {
  const [meminfo, limits, status] = ['/proc/meminfo', '/proc/self/limits', '/proc/self/status'].map((path) =>
    readFileSync(path, 'utf8'),
  ) as [string, string, string]
  const hard = Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? 0)
  const capable = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`)
  return {
    memoryBytes: Number(/^MemAvailable:\s+(\d+)/m.exec(meminfo)?.[1] ?? 0) * 1_024,
    // sluice-load asks for more than it may have, and is given it where it may change its limits.
    descriptors: (capable >> SYS_RESOURCE) & 1n ? Math.max(hard, WANTED_DESCRIPTORS) : hard,
  }
}

/** Packets that an interface in another process's namespace has received. */
export function received(pid: number, name: string): number {
  const line = new RegExp(`^\\s*${name}:\\s*\\d+\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/net/dev`, 'utf8'))
  return Number(line?.[1] ?? Number.NaN)
}

export const load = (): number => Math.round((loadavg()[0] ?? 0) * 100) / 100

const BEFORE_MS = 2_000

/** Processors that were at work while this one waited: what runs beside, whatever was built a minute ago. */
export async function atWork(): Promise<number> {
  const before = cpuSeconds()
  await sleep(BEFORE_MS)
  const now = cpuSeconds()
  const share = (now.busy - before.busy) / Math.max(0.01, now.all - before.all)
  return Math.round(share * cpus().length * 100) / 100
}

/** Programs whose version belongs to a figure; absent ones are left out. */
const TOOLS = {
  nft: ['--version'],
  iptables: ['--version'],
  ipset: ['--version'],
  iperf3: ['--version'],
  ip: ['-V'],
  taskset: ['--version'],
  fio: ['--version'],
  unbound: ['-V'],
  // It has no word for its version, and says it with its usage.
  dnsperf: ['-h'],
} as const
/** Packages that traffic and decisions are compared with or made by. */
const PACKAGES = ['autocannon', 'casbin', '@cedar-policy/cedar-wasm']

/** As its package.json has it, which not every package lets others import; undefined where it is not installed. */
function packaged(name: string): string | undefined {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? []
  const at = folders.map((folder) => `${folder}/${name}/package.json`).find((path) => existsSync(path))
  return at === undefined ? undefined : (JSON.parse(readFileSync(at, 'utf8')) as { version: string }).version
}

export function machine(): Omit<Machine, 'loadBefore' | 'loadAfter' | 'stolen'> {
  const versions: Record<string, string> = { node: process.versions.node }
  for (const [name, words] of Object.entries(TOOLS)) {
    const { status, stdout } = spawnSync(name, words, { encoding: 'utf8' })
    const version = /\d+\.\d+[\w.]*/.exec(stdout ?? '')?.[0]
    if (status === 0 && version !== undefined) versions[name] = version
  }
  for (const name of PACKAGES) {
    const version = packaged(name)
    if (version !== undefined) versions[name] = version
  }
  const info = readFileSync('/proc/cpuinfo', 'utf8')
  return {
    name: hostname(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    architecture: arch(),
    virtual: /^flags.*\bhypervisor\b/m.test(info) ? 'a virtual machine' : 'none',
    versions,
  }
}

/** The commit of the checkout that this program was built in, if it is one. */
export function commit(): { readonly commit: string | null; readonly dirty: boolean } {
  const cwd = new URL('../..', import.meta.url).pathname
  const git = (...words: string[]): string | undefined => {
    const { status, stdout } = spawnSync('git', words, { cwd, encoding: 'utf8' })
    return status === 0 ? stdout.trim() : undefined
  }
  return {
    commit: git('rev-parse', 'HEAD') ?? null,
    dirty: (git('status', '--porcelain', '--untracked-files=no') ?? '') !== '',
  }
}
