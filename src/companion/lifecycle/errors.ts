// Fault codes of the life of workspaces: what may not be asked for now, what a step waited for in vain, and what a host does not
// have. What a driver or the agent refuses keeps its own code, as the cause of the step that it ended.

import { type FaultTable, faultsOf } from '../../base/fault.js'
import { quote } from '../../base/quote.js'

export const LIFECYCLE_FAULTS = {
  WORKSPACE_UNKNOWN: {
    reaction: 'reject',
    say: (d: { workspace: string }) => `there is no workspace ${quote(d.workspace)} on this host`,
    remedy: '`sluice workspace list` names those that there are; `sluice workspace create` makes one.',
  },
  WORKSPACE_EXISTS: {
    reaction: 'reject',
    say: (d: { workspace: string }) => `the workspace ${d.workspace} exists already`,
    remedy: 'A profile is fixed when a workspace is made. Delete it first to give it another.',
  },
  WORKSPACE_RUNS: {
    reaction: 'reject',
    say: (d: { workspace: string }) => `the workspace ${d.workspace} runs`,
    remedy: 'Stop it first, or kill it.',
  },
  WORKSPACE_TAKEN_AWAY: {
    reaction: 'reject',
    say: (d: { workspace: string; state: string }) => `the workspace ${d.workspace} is ${d.state}`,
    remedy: 'Delete it, or have an operator lift its quarantine at the agent, and start it.',
  },
  WORKSPACE_QUARANTINED: {
    reaction: 'reject',
    say: (d: { workspace: string }) => `the workspace ${d.workspace} is in quarantine`,
    remedy: 'An operator lifts it at the agent (`sluice quarantine lift`); the companion cannot.',
  },
  WORKSPACE_SILENT: {
    reaction: 'retry',
    say: (d: { stream: string; standing: string; heardAtMs: number }) =>
      `nothing begins on this host while a stream of security events is lost: ${
        d.stream === ''
          ? 'its record cannot be read'
          : `${d.stream} is ${d.standing}, last heard at ${new Date(d.heardAtMs).toISOString()}`
      }`,
    remedy:
      'Look at its transmitter, and run the command again when it is heard. What runs goes on: the agent suspends it by its own streams. `silence: alarm` in companion.yaml lets things begin meanwhile.',
  },
  WORKSPACE_OWED: {
    reaction: 'retry',
    say: (d: { workspace: string; steps: string }) => `${d.workspace} cannot go on before this is done: ${d.steps}`,
    remedy: 'It is tried again every few seconds; `sluice workspace list` says what keeps it.',
  },
  WORKSPACE_BUSY: {
    reaction: 'retry',
    say: (d: { workspace: string; operation: string }) => `${d.operation} of ${d.workspace} is under way`,
    remedy: 'Run the command again when it is over. A kill or a revoke does not wait.',
  },
  WORKSPACE_PREEMPTED: {
    reaction: 'stale',
    say: (d: { workspace: string; operation: string; by: string }) =>
      `${d.operation} of ${d.workspace} was ended by a ${d.by}`,
    remedy: 'Look at the workspace with `sluice workspace list`.',
  },
  WORKSPACE_REQUEST: {
    reaction: 'reject',
    say: (d: { requestId: string }) => `the request id ${quote(d.requestId)} was used for something else`,
    remedy: 'Use a request id once; the same id with the same words asks for the answer again.',
  },
  WORKSPACE_PROFILE: {
    reaction: 'reject',
    say: (d: { why: string }) => `this profile cannot be given: ${d.why}`,
    remedy: 'Correct it; companion.yaml names the networks and images that there are.',
  },
  WORKSPACE_STEP: {
    reaction: 'retry',
    say: (d: { workspace: string; operation: string; step: string; after: string }) =>
      `${d.operation} of ${d.workspace} failed at ${d.step}; ${d.after}`,
    remedy: 'The cause says why; put it right and run the command again with another request id.',
  },
  WORKSPACE_STEP_LATE: {
    reaction: 'retry',
    say: (d: { step: string; ms: number; why: string }) =>
      `${d.step} was not done within ${d.ms} ms${d.why === '' ? '' : `: ${d.why}`}`,
    remedy: 'Look at what it waits for, then run the command again.',
  },
  WORKSPACE_CHANNEL: {
    reaction: 'reject',
    say: (d: { wanted: string; found: string }) => `the policy that is live is of channel ${d.found}, not ${d.wanted}`,
    remedy: 'Give the workspace to a node that follows its channel; a channel is part of the profile.',
  },
  WORKSPACE_FENCE_UNPROVED: {
    reaction: 'retry',
    say: (d: { why: string }) => `the evidence does not show the fence of this workspace: ${d.why}`,
    remedy: 'Look at `sluice status` of the agent; nothing runs before its fence is proved.',
  },
  WORKSPACE_SESSIONS: {
    reaction: 'retry',
    say: (d: { hook: string; why: string }) => `the hook ${d.hook} did not close the sessions: ${d.why}`,
    remedy: 'Close the sessions at the access broker by hand; the fence lets nothing of them through.',
  },
  COMPANION_STORE: {
    reaction: 'bug',
    say: (d: { file: string; why: string }) => `${d.file} is not what the companion wrote: ${d.why}`,
    remedy: 'Nothing of that workspace is changed any more. Kill it, look at the disk, and move the file away.',
  },
  COMPANION_STORE_WRITE: {
    reaction: 'retry',
    say: (d: { file: string }) => `cannot write ${d.file}`,
    remedy: 'Look for space and for the rights on the state directory of the companion.',
  },
  COMPANION_CONFIG: {
    reaction: 'reject',
    say: (d: { file: string; errors: number }) =>
      `${d.file} is not acceptable: ${d.errors === 1 ? '1 error' : `${d.errors} errors`}`,
    remedy: 'Correct the findings.',
  },
  COMPANION_PASSAGE: {
    reaction: 'unsupported',
    say: (d: { directory: string; folder: string; why: string }) => `no machine can start in ${d.directory}: ${d.why}`,
    remedy:
      'QEMU runs as a user of its own and must pass through every folder above its socket: `chmod 0711` that folder, or give machines.directory a place of its own, such as /var/lib/sluice-machines; run the companion with a umask such as 0066.',
  },
  COMPANION_AGENT: {
    reaction: 'retry',
    say: (d: { why: string }) => `the agent does not answer: ${d.why}`,
    remedy: 'Look at `sluice status` on its node. Its fence stands; what is owed to it is done when it answers.',
  },
  COMPANION_GONE: {
    reaction: 'retry',
    say: (d: { socket: string }) => `no companion answers at ${d.socket}`,
    remedy: 'Start it with `sluice companion`. To fence without it, run `sluice quarantine set` at the agent.',
  },
} as const satisfies FaultTable

export const lifecycleFault = faultsOf(LIFECYCLE_FAULTS)
