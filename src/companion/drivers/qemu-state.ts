// What a machine is, by QEMU's own word for it; a word that is not in the table is a machine that does not run: `paused`.

import { isObject } from '../../base/json.js'
import type { MachineState } from './driver.js'
import type { Qmp } from './qmp.js'

/** qapi/run-state.json of QEMU. */
const STATES: Readonly<Record<string, MachineState>> = {
  prelaunch: 'prepared',
  running: 'running',
  shutdown: 'ended',
  'guest-panicked': 'ended',
  'internal-error': 'ended',
}

export async function stateOf(qmp: Qmp): Promise<MachineState> {
  const status = await qmp.execute('query-status')
  return (isObject(status) && typeof status.status === 'string' ? STATES[status.status] : undefined) ?? 'paused'
}
