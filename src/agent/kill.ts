// Ends what runs in a workspace, where this node can: the processes of a cgroup, all of them at once and those that they are
// about to start (cgroup.kill, Linux 5.14; Documentation/admin-guide/cgroup-v2.rst). A workspace behind a veth, a tap or a
// representor is somebody else's machine: the fence is all that this node has, and whoever runs the machine ends it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../base/fault.js'
import type { Slot } from '../plan/inventory.js'
import { agentFault } from './errors.js'

const ROOTS: readonly string[] = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']
const LOOKS = 100
const LOOK_MS = 20

/** `ended`: read back that nothing runs there. `elsewhere`: not this node's to end. Throws AGENT_KILL. */
export async function endWorkspace(slot: Slot, roots: readonly string[] = ROOTS): Promise<'ended' | 'elsewhere'> {
  if (slot.kind !== 'cgroup') return 'elsewhere'
  const root = roots.find((at) => existsSync(join(at, 'cgroup.controllers')))
  // Nobody can say that nothing runs there who does not see the hierarchy.
  if (root === undefined) throw agentFault('AGENT_KILL', { group: slot.interface })
  const group = join(root, slot.interface)
  try {
    if (!existsSync(group)) {
      // Only the root of the whole hierarchy has no events of its own: from anywhere else (a cgroup namespace, a mount of a part) what
      // is not seen may still run.
      if (existsSync(join(root, 'cgroup.events'))) throw agentFault('AGENT_KILL', { group })
      return 'ended'
    }
    writeFileSync(join(group, 'cgroup.kill'), '1')
    for (let look = 0; look < LOOKS; look++) {
      if (/^populated 0$/m.test(readFileSync(join(group, 'cgroup.events'), 'utf8'))) return 'ended'
      await sleep(LOOK_MS)
    }
  } catch (cause) {
    throw cause instanceof Fault ? cause : agentFault('AGENT_KILL', { group }, { cause })
  }
  throw agentFault('AGENT_KILL', { group })
}
