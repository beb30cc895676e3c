// A virtual function handed to a machine as it is: it must be bound to vfio-pci and alone in its IOMMU group, or the machine would get
// a neighbour with it. Who binds it, and gives it its MAC, is the DPU's side. Reads sysfs only (the kernel's vfio documentation).

import { chownSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { companionFault } from '../errors.js'

/** The character device of its group. Throws MACHINE_NIC. */
export function vfioGroupOf(pci: string, sys = '/sys', dev = '/dev'): string {
  const no = (why: string) => companionFault('MACHINE_NIC', { nic: pci, why })
  const device = join(sys, 'bus/pci/devices', pci)
  if (!existsSync(device)) throw no('there is no such function')
  const link = (name: string): string =>
    existsSync(join(device, name)) ? basename(readlinkSync(join(device, name))) : ''
  if (link('driver') !== 'vfio-pci') throw no(`its driver is ${link('driver') || 'none'}, not vfio-pci`)
  const code = Number(readFileSync(join(device, 'class'), 'utf8'))
  if (code >> 16 !== 0x02) throw no('it is no network device')
  const group = link('iommu_group')
  if (group === '') throw no('it has no IOMMU group')
  const others = readdirSync(join(device, 'iommu_group/devices')).filter((name) => name !== pci)
  if (others.length > 0) throw no(`its IOMMU group also has ${others.sort().join(', ')}`)
  const path = join(dev, 'vfio', group)
  if (!existsSync(path)) throw no(`${path} is not there`)
  return path
}

/** No machine has the function any more, and no user of one opens its group. A function or a group that is gone is nobody's. */
export function takeBackVfio(pci: string, owner = 0, sys = '/sys', dev = '/dev'): void {
  const group = join(sys, 'bus/pci/devices', pci, 'iommu_group')
  if (!existsSync(group)) return
  const path = join(dev, 'vfio', basename(readlinkSync(group)))
  if (existsSync(path)) chownSync(path, owner, owner)
}
