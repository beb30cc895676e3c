// Fault codes of the companion: images that may not boot, machines that do not become what was asked for, and taps. What the agent
// refuses keeps its own code.

import { type FaultTable, faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

export const COMPANION_FAULTS = {
  MACHINE_SPEC: {
    reaction: 'reject',
    say: (d: { why: string }) => `this is no machine that may run: ${d.why}`,
    remedy: 'Correct the profile of the workspace; `sluice workspace create --help` lists what it has.',
  },
  MACHINE_TAKEN: {
    reaction: 'reject',
    say: (d: { id: string }) => `the machine ${d.id} exists with another specification`,
    remedy: 'A profile is fixed at provisioning. Rebake the workspace, which gives it another incarnation.',
  },
  MACHINE_UNKNOWN: {
    reaction: 'reject',
    say: (d: { id: string }) => `there is no machine ${quote(d.id)} here`,
    remedy: '`sluice workspace list` names those that there are.',
  },
  MACHINE_STATE: {
    reaction: 'stale',
    say: (d: { id: string; state: string; wanted: string }) =>
      `the machine ${d.id} is ${d.state}, and ${d.wanted} needs another state`,
    remedy: 'Look again with `sluice workspace list`; a machine that ended is started anew, not continued.',
  },
  MACHINE_IMAGE: {
    reaction: 'reject',
    say: (d: { file: string; why: string }) => `${d.file} does not boot: ${d.why}`,
    remedy: 'Fetch the image again. If it differs again, somebody changed it: look at the store and its source.',
  },
  IMAGE_LIST: {
    reaction: 'reject',
    say: (d: { file: string; why: string }) => `${d.file}: ${d.why}`,
    remedy:
      'Name the folder that a builder published: images.jws.json, and each file under its digest (`sluice image fetch`).',
  },
  MACHINE_NIC: {
    reaction: 'reject',
    say: (d: { nic: string; why: string }) => `the network interface ${d.nic} cannot be given to the machine: ${d.why}`,
    remedy: 'Attach the workspace to its slot first; a tap is made by the companion, a VF bound to vfio-pci.',
  },
  MACHINE_PATH: {
    reaction: 'bug',
    say: (d: { id: string; found: string }) => `the machine ${d.id} has a way out that nobody manages: ${d.found}`,
    remedy: 'It was not started, or was killed. Look at the configuration of QEMU on this host before anything else.',
  },
  MACHINE_VOLUME: {
    reaction: 'retry',
    say: (d: { id: string; tag: string; source: string }) =>
      `the machine ${d.id} would have the volume ${d.tag} bare: vaultfs had nothing mounted at ${d.source} when it was made`,
    remedy: 'Give the workspace that volume in its plan, and start it again.',
  },
  MACHINE_UNSUPPORTED: {
    reaction: 'unsupported',
    say: (d: { what: string; why: string }) => `this host cannot run ${d.what}: ${d.why}`,
    remedy: 'Install what is missing (QEMU, its virtiofsd), or run the workspace on a host that has it.',
  },
  MACHINE_START: {
    reaction: 'retry',
    say: (d: { id: string; why: string }) => `the machine ${d.id} could not be made: ${d.why}`,
    remedy: 'The reason is what QEMU or the kernel said. Nothing of the machine is left.',
  },
  MACHINE_SILENT: {
    reaction: 'retry',
    say: (d: { id: string; why: string }) => `the machine ${d.id} does not answer: ${d.why}`,
    remedy: 'Its fence stands. Kill it if it stays silent.',
  },
  MACHINE_ALIVE: {
    reaction: 'bug',
    say: (d: { id: string; pids: string }) => `processes of the machine ${d.id} are still there: ${d.pids}`,
    remedy:
      'Its fence stands, and a killed workspace is quarantined. Look at the processes: one that waits for a device or a file system cannot end.',
  },
  MACHINE_USER: {
    reaction: 'retry',
    say: (d: { workspace: string; user: number; other: string }) =>
      `${d.workspace} runs as user ${d.user}, which a machine of ${d.other} has now`,
    remedy: 'Stop that one first. If it is of no workspace here, end it; the companion names it as left over.',
  },
  MACHINE_USERS: {
    reaction: 'bug',
    say: (d: { file: string; why: string }) => `the users of machines cannot be read from ${d.file}: ${d.why}`,
    remedy:
      'What runs goes on, and can be stopped and killed. Stop every workspace and take the file away: users are given anew.',
  },
  TAP_TAKEN: {
    reaction: 'reject',
    say: (d: { name: string; why: string }) => `the interface ${d.name} is not a tap of ours: ${d.why}`,
    remedy: 'Take it away, or give the slot of the inventory another name.',
  },
  TAP_FAILED: {
    reaction: 'retry',
    say: (d: { name: string; step: string }) => `the tap ${d.name} could not be made or taken away: ${d.step}`,
    remedy: 'Look at the interface with `ip -d link show`; the same call again goes on where this one stopped.',
  },
} as const satisfies FaultTable

export const companionFault = faultsOf(COMPANION_FAULTS)
