// What this machine has of what exec-sensor needs.

import { existsSync } from 'node:fs'
import type { Probe, Probed } from '../backend.js'
import { cgroupRoot } from '../tracing/cgroups.js'
import { openDoor } from './door.js'

const TYPES = '/sys/kernel/btf/vmlinux'

export function probeSensor(): Probed {
  const root = cgroupRoot()
  const probes: Probe[] = [
    library(),
    existsSync(TYPES)
      ? { feature: 'btf', answer: 'yes', why: TYPES }
      : { feature: 'btf', answer: 'no', why: `${TYPES} is not there` },
    root === undefined
      ? { feature: 'cgroup', answer: 'no', why: 'no unified hierarchy is mounted' }
      : { feature: 'cgroup', answer: 'yes', why: root },
  ]
  return { backend: 'exec-sensor', trustDomain: 'host', probes }
}

function library(): Probe {
  try {
    openDoor()
    return { feature: 'library', answer: 'yes', why: 'loaded' }
  } catch (error) {
    return { feature: 'library', answer: 'no', why: error instanceof Error ? error.message : String(error) }
  }
}
