// What this machine's kernel can do for the fence, found by trying: the program is loaded, nothing is attached. Each answer
// says what was seen and, for a no, what is lost without it.

import { mkdirSync, readFileSync } from 'node:fs'
import { Fault } from '../../base/fault.js'
import type { Probe, Probed } from '../backend.js'
import { cgroupRoot } from './cgroup.js'
import { load, OBJECT, pinsOf, removeIfEmpty, removePins } from './fence.js'
import type { Native } from './native.js'

const yes = (feature: string, why: string): Probe => ({ feature, answer: 'yes', why })
const no = (feature: string, why: string): Probe => ({ feature, answer: 'no', why })
const unsure = (feature: string, why: string): Probe => ({ feature, answer: 'could-not-tell', why })

export function probeEbpf(native: Native): Probed {
  const probes: Probe[] = []
  const done = (): Probed => ({ backend: 'ebpf', trustDomain: 'host', probes })
  probes.push(yes('library', 'the loader answers'))
  if (process.getuid?.() !== 0)
    probes.push(unsure('privilege', 'not root: CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are needed'))
  try {
    probes.push(yes('bpffs', native.text('finding the BPF file system', 'bpffs', 256)))
  } catch (error) {
    probes.push(unsure('bpffs', `${said(error)}; without it the fence would end with the agent`))
    return done()
  }
  // In a folder of its own, so that asking changes nothing of a fence that stands.
  const pins = `${pinsOf(native)}-probe-${process.pid}`
  try {
    for (const folder of ['maps', 'programs']) mkdirSync(`${pins}/${folder}`, { recursive: true, mode: 0o700 })
    load(native, OBJECT, `${pins}/maps`, `${pins}/programs`, 0)
    probes.push(yes('program', 'the verifier accepts the fence program: maps of maps, ring buffer, map iteration'))
  } catch (error) {
    probes.push(error instanceof Fault ? no('program', error.message) : unsure('program', said(error)))
    return done()
  } finally {
    removePins(pins)
    for (const above of [pins.slice(0, pins.lastIndexOf('/')), pins.slice(0, pins.lastIndexOf('/net-'))])
      removeIfEmpty(above)
  }
  probes.push(
    kernelAtLeast(6, 6)
      ? yes('tcx', 'links that nobody removes by accident')
      : no('tcx', 'clsact filters are used: whoever may change tc filters can remove them'),
  )
  probes.push(
    kernelAtLeast(6, 4)
      ? yes('floor', 'an interface of a slot that is made anew is closed before the agent hears of it')
      : no(
          'floor',
          'an interface that is made anew is open until the running agent has fenced it: bring it up afterwards',
        ),
  )
  probes.push(
    cgroupRoot() === undefined
      ? no('cgroup', 'no unified cgroup hierarchy is mounted here: processes of the host itself cannot be workspaces')
      : yes('cgroup', 'packets, connect and sendmsg of the sockets of a cgroup'),
  )
  return done()
}

function kernelAtLeast(major: number, minor: number): boolean {
  const [a = 0, b = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number)
  return a > major || (a === major && b >= minor)
}

const said = (error: unknown): string => (error instanceof Error ? error.message : String(error))
