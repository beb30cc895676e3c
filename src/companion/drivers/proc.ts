// What the kernel says about a process of a machine (proc(5)): is it there, whose it is and what it may, which taps and VFIO groups its
// descriptors hold, and which interfaces its network namespace has. The kernel cannot be talked round by a QEMU that was taken over.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import type { WaysOut } from './qemu-readback.js'

/** The process went in the middle: it has nothing then. */
export const orNothing = <T>(look: () => T, nothing: T): T => {
  try {
    return look()
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return nothing
    throw error
  }
}

/** Not for a zombie: nothing of it runs, and whoever started it has only not looked yet. */
export function isAlive(pid: number): boolean {
  const stat = orNothing(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '')
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  return stat !== '' && state !== 'Z' && state !== 'X'
}

/** The program that it runs, without its folder; '' when it went. */
export const programOf = (pid: number): string => basename(orNothing(() => readlinkSync(`/proc/${pid}/exe`), ''))

const QEMU_PROGRAM = /^qemu-system-/
export const isQemu = (pid: number): boolean => QEMU_PROGRAM.test(programOf(pid))

/** Every QEMU on this host that was started for the guest of that name, wherever it is: as libvirt calls it, `-name guest=NAME,...`. */
export async function guestsNamed(name: string, proc = '/proc'): Promise<readonly number[]> {
  const found: number[] = []
  for (const pid of (await readdir(proc)).filter((entry) => /^\d+$/.test(entry)))
    try {
      // Of other programs no word is read: the kernel may let a reader wait for them.
      if (!QEMU_PROGRAM.test(basename(await readlink(`${proc}/${pid}/exe`)))) continue
      const words = (await readFile(`${proc}/${pid}/cmdline`, 'utf8')).split('\0')
      if (words.some((word, i) => word === '-name' && words[i + 1]?.split(',')[0] === `guest=${name}`))
        found.push(Number(pid))
    } catch (error) {
      // It went, or is a process that is none of ours to look at, and so none of ours.
      if (!['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  return found
}

export function waysOutOf(pid: number, proc = '/proc'): WaysOut {
  const taps: string[] = []
  const groups: string[] = []
  for (const name of orNothing(() => readdirSync(`${proc}/${pid}/fd`), [])) {
    const target = orNothing(() => readlinkSync(`${proc}/${pid}/fd/${name}`), '')
    const group = /^\/dev\/vfio\/(\d+)$/.exec(target)?.[1]
    if (group !== undefined) groups.push(group)
    // A tun device's own words about itself; whatever the file is called where it was opened.
    const info = orNothing(() => readFileSync(`${proc}/${pid}/fdinfo/${name}`, 'utf8'), '')
    const tap = /^iff:\t(.*)$/m.exec(info)?.[1]
    if (tap !== undefined) taps.push(tap)
  }
  const table = orNothing(() => readFileSync(`${proc}/${pid}/net/dev`, 'utf8'), '')
  const interfaces = [...table.matchAll(/^\s*([^\s:]+):/gm)].map(([, name]) => name ?? '')
  const score = orNothing(() => readFileSync(`${proc}/${pid}/oom_score_adj`, 'utf8'), '').trim()
  return {
    ...{ taps: taps.sort(), groups: groups.sort(), interfaces: interfaces.sort() },
    ...(score === '' ? {} : { oomScore: Number(score) }),
    ...rightsOf(orNothing(() => readFileSync(`${proc}/${pid}/status`, 'latin1'), '')),
  }
}

/** Users are those of the reader's user namespace, wherever the process has made one of its own. */
function rightsOf(status: string): Pick<WaysOut, 'rights'> {
  const field = (name: string): string => new RegExp(`^${name}:\\t(.*)$`, 'm').exec(status)?.[1] ?? ''
  if (status === '') return {}
  return {
    rights: {
      users: field('Uid').split('\t').map(Number),
      noCapabilities: /^0+$/.test(field('CapEff')) && /^0+$/.test(field('CapPrm')),
      noNewPrivileges: field('NoNewPrivs') === '1',
    },
  }
}

/** What its descriptors are open for writing at, as far as they are files with a path. */
export function writtenBy(pid: number): readonly string[] {
  const fds = orNothing(() => readdirSync(`/proc/${pid}/fd`), [])
  return fds.flatMap((name) => {
    const info = orNothing(() => readFileSync(`/proc/${pid}/fdinfo/${name}`, 'utf8'), '')
    const flags = Number.parseInt(/^flags:\t([0-7]+)$/m.exec(info)?.[1] ?? '0', 8)
    const target = orNothing(() => readlinkSync(`/proc/${pid}/fd/${name}`), '')
    return (flags & ACCESS_MODE) !== 0 && target.startsWith('/') ? [target] : []
  })
}

/** O_ACCMODE of open(2): 0 is for reading only. */
const ACCESS_MODE = 0o3
