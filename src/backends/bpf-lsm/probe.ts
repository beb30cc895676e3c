// What this machine has of what bpf-lsm needs. Nothing is loaded for it: the kernel lists its security modules, and the words it was
// booted with decide whether BPF is one.

import { existsSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import type { Probe, Probed } from '../backend.js'
import { cgroupRoot } from '../tracing/cgroups.js'
import { openDoor } from './door.js'

const MODULES = '/sys/kernel/security/lsm'
const TYPES = '/sys/kernel/btf/vmlinux'

export function probeGuard(): Probed {
  const probes: Probe[] = [library(), modules()]
  probes.push(
    existsSync(TYPES)
      ? { feature: 'btf', answer: 'yes', why: TYPES }
      : { feature: 'btf', answer: 'no', why: `${TYPES} is not there` },
  )
  const root = cgroupRoot()
  probes.push(
    root === undefined
      ? { feature: 'cgroup', answer: 'no', why: 'no unified hierarchy is mounted' }
      : { feature: 'cgroup', answer: 'yes', why: root },
  )
  probes.push(kernel())
  return { backend: 'bpf-lsm', trustDomain: 'host', probes }
}

function library(): Probe {
  try {
    openDoor()
    return { feature: 'library', answer: 'yes', why: 'loaded' }
  } catch (error) {
    return { feature: 'library', answer: 'no', why: error instanceof Error ? error.message : String(error) }
  }
}

/** 6.1 in its stable releases judges also while it judges something else on the same processor; what is older was never tried. */
function kernel(): Probe {
  const feature = 'files'
  const [major = 0, minor = 0] = release().split('.').map(Number)
  return major > 6 || (major === 6 && minor >= 1)
    ? { feature, answer: 'yes', why: `kernel ${release()}` }
    : { feature, answer: 'no', why: `kernel ${release()}; files are judged from 6.1 on` }
}

function modules(): Probe {
  const feature = 'lsm'
  try {
    const active = readFileSync(MODULES, 'utf8').trim()
    return active.split(',').includes('bpf')
      ? { feature, answer: 'yes', why: active }
      : { feature, answer: 'no', why: `the kernel runs ${active}; boot it with bpf among the words of lsm=` }
  } catch (error) {
    const code = String((error as NodeJS.ErrnoException).code)
    return code === 'ENOENT'
      ? { feature, answer: 'no', why: `${MODULES} is not there: no securityfs, or no security modules` }
      : { feature, answer: 'could-not-tell', why: `${MODULES}: ${code}` }
  }
}
