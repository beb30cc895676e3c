// Whether a machine's volumes are what vaultfs shows of them. What was there when a volume's server began is what it serves: a folder that
// nothing was mounted over yet, or that the plan has no storage for, would be served bare, where no clause and no quarantine reaches it.

import { readFileSync } from 'node:fs'
import { companionFault } from '../errors.js'
import type { MachineSpec } from './driver.js'
import { orNothing } from './proc.js'

/** As vaultfs calls its mounts (proc_pid_mountinfo(5)). */
const VAULTFS = 'fuse.vaultfs'

/** `processes`: those of the machine. Asked of the kernel, and of the servers themselves. Throws MACHINE_VOLUME. */
export function requireVaulted({ id, volumes }: MachineSpec, processes: readonly number[], proc = '/proc'): void {
  for (const { tag, source } of volumes)
    if (!processes.some((pid) => servesVaulted(pid, source, proc)))
      throw companionFault('MACHINE_VOLUME', { id, tag, source })
}

/** It was started for that folder, and has nothing for its root but what vaultfs shows there. */
function servesVaulted(pid: number, source: string, proc: string): boolean {
  const read = (name: string): string => orNothing(() => readFileSync(`${proc}/${pid}/${name}`, 'utf8'), '')
  if (!read('cmdline').split('\0').includes(`source=${source}`)) return false
  // The last one lies over those before.
  const root = read('mountinfo')
    .split('\n')
    .findLast((line) => line.split(' ')[4] === '/')
  // All of a mount, and not a folder in that of somebody else.
  return root?.split(' ')[3] === '/' && root.split(' - ')[1]?.split(' ')[0] === VAULTFS
}
