// How each step of the table is carried out: one short function a step, over the ports. A step may be begun again after a crash at
// any point, so each first looks at what is so already, or asks for what is idempotent. A lease is on record before it is asked for.

import { Fault } from '../../base/fault.js'
import { lifecycleFault } from './errors.js'
import type { Step } from './operations.js'
import type { Clock, FencePort, FenceSeen, MachinePort, SessionPort } from './ports.js'
import type { WorkspaceRecord } from './record.js'

export interface Ports {
  readonly fence: FencePort
  readonly machine: MachinePort
  readonly sessions: SessionPort
  readonly clock: Clock
}

/** One operation on one workspace, as its steps see it. */
export interface StepRun {
  readonly record: WorkspaceRecord
  readonly reason: string
  readonly requestId: string
  /** Aborted by a kill or a revoke. */
  readonly signal: AbortSignal
  /** Of the tenure that this run has begun. */
  attachmentId: string
  /** On stable storage when it resolves. Throws WORKSPACE_PREEMPTED once the run is over. */
  patch(change: Partial<WorkspaceRecord>): Promise<void>
}

export interface StepTerms {
  /** How long a start waits for a policy. */
  readonly waitInitialMs: number
  /** Throws what keeps every machine of this host from being brought up now. */
  readonly mayStart?: () => void
}

export interface StepGave {
  readonly what?: string
  readonly receipt?: string
}

type Carry = (run: StepRun, ports: Ports, terms: StepTerms) => Promise<StepGave> | Promise<void>

const LOOK_MS = 100

export const CARRY: { readonly [S in Step]: Carry } = {
  layer: async (run, { machine }) => {
    const { record } = run
    const incarnation = record.image === '' ? record.incarnation + 1 : record.incarnation
    return bake(run, incarnation, await machine.layer(record, incarnation))
  },
  renew: async (run, { machine }) => {
    const incarnation = run.record.incarnation + 1
    return bake(run, incarnation, await machine.layer(run.record, incarnation))
  },
  sweep: ({ record }, { machine }) => machine.sweep(record.workspace, record.incarnation),
  released: async ({ record: { workspace } }, { fence }, { mayStart }) => {
    // A crash may have ended it long ago, or a rebake may have shut its machine down since it was asked for.
    mayStart?.()
    const seen = await fence.look()
    if (seen.workspaces.get(workspace)?.quarantined) throw lifecycleFault('WORKSPACE_QUARANTINED', { workspace })
  },
  prepare: ({ record }, { machine }) => machine.prepare(record),
  attach: async (run, ports, { waitInitialMs }) => {
    const { workspace, profile } = run.record
    // A node that holds nothing yet has no slot to give; whoever waits for a policy waits for that as well.
    const waitMs = profile?.policy === 'wait-initial' ? waitInitialMs : 0
    const { attachmentId } = await patiently('attach', run, ports, waitMs, async () => {
      const { leases } = await ports.fence.look()
      const lease = Math.max(run.record.lease, leases.get(workspace) ?? 0) + 1
      await run.patch({ lease })
      return ports.fence.attach(run.record, lease)
    })
    run.attachmentId = attachmentId
    return { what: attachmentId }
  },
  policy: async (run, ports, { waitInitialMs }) => {
    const waitMs = run.record.profile?.policy === 'wait-initial' ? waitInitialMs : 0
    return {
      what: await patiently('policy', run, ports, waitMs, async () => live(run.record, await ports.fence.look())),
    }
  },
  evidence: async ({ record, attachmentId }, { fence }) => ({
    what: await fence.prove(record.workspace, attachmentId),
  }),
  run: async ({ record }, { machine }, { mayStart }) => {
    // It may have waited long for its policy.
    mayStart?.()
    await machine.run(record)
  },
  halt: ({ record }, { machine }) => machine.halt(record),
  end: ({ record }, { machine }) => machine.end(record.workspace),
  detach: async ({ record: { workspace, profile, lease } }, { fence }) => {
    // A record that was lost knows of no lease; the agent does.
    const held = lease > 0 || profile ? lease : ((await fence.look()).attached.get(workspace) ?? 0)
    if (held > 0) await fence.detach(workspace, held)
  },
  unplug: ({ record }, { machine }) => machine.unplug(record),
  fence: async ({ record, reason }, { fence }) => {
    const { receipt, generation } = await fence.quarantine(record.workspace, reason)
    return { what: `generation ${generation}`, ...(receipt === undefined ? {} : { receipt }) }
  },
  sessions: async ({ record, reason, requestId }, { sessions }) => {
    const { workspace, profile } = record
    const what = await sessions.close({ workspace, user: profile?.user ?? '', reason, requestId })
    return what === undefined ? {} : { what }
  },
  erase: ({ record }, { machine }) => machine.sweep(record.workspace, null),
}

async function bake(run: StepRun, incarnation: number, image: string): Promise<StepGave> {
  await run.patch({ incarnation, image })
  return { what: image }
}

/** What judges its traffic from now on. Throws what keeps a machine from running; a WORKSPACE_STEP_LATE may pass. */
function live({ workspace, profile }: WorkspaceRecord, seen: FenceSeen): string {
  const at = seen.workspaces.get(workspace)
  const notYet = (why: string) => lifecycleFault('WORKSPACE_STEP_LATE', { step: 'policy', ms: 0, why })
  if (at?.quarantined) throw lifecycleFault('WORKSPACE_QUARANTINED', { workspace })
  if (!at) throw notYet('the agent does not list the workspace')
  if (profile?.policy === 'baseline') {
    if (seen.state === 'active' || seen.state === 'closed') return at.policy === '' ? 'baseline' : at.policy
    throw notYet(`the agent says ${seen.state}`)
  }
  if (seen.state !== 'active') throw notYet(`the agent says ${seen.state}`)
  if (profile && seen.channel !== profile.channel)
    throw lifecycleFault('WORKSPACE_CHANNEL', { wanted: profile.channel, found: seen.channel })
  if (at.policy === '') throw notYet('no policy applies to it')
  if (at.suspended) throw notYet('it is suspended')
  return at.policy
}

/** What a workspace that waits for its first policy may wait out. */
const PASSING = new Set(['AGENT_NOTHING_LIVE', 'AGENT_WORKSPACE_UNKNOWN', 'WORKSPACE_STEP_LATE'])

/** Tries until it is done, for that long. Throws what stands in the way, WORKSPACE_STEP_LATE when the time is over. */
async function patiently<T>(
  step: Step,
  { signal }: StepRun,
  { clock }: Ports,
  waitMs: number,
  attempt: () => Promise<T>,
): Promise<T> {
  const endMs = clock.monotonicMs() + waitMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Fault && PASSING.has(error.code)) || signal.aborted) throw error
      if (clock.monotonicMs() >= endMs) {
        const why = error.code === 'WORKSPACE_STEP_LATE' ? (error.detail as { why: string }).why : error.message
        throw lifecycleFault('WORKSPACE_STEP_LATE', { step, ms: waitMs, why }, { cause: error })
      }
    }
    await clock.sleep(LOOK_MS, signal)
  }
}
