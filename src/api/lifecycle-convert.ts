// Messages of companion.proto from and to values. A request is read field by field: what is missing, too long or out of range is refused
// with the name of the field (API_FIELD), before anything else looks at it. What a profile may hold is the companion's to say.

import { readReason, readWorkspace } from './convert.js'
import { apiFault } from './errors.js'
import type { LifecycleRequest, LifecycleResponse } from './lifecycle-methods.js'
import {
  CHANGE_WORDS,
  type ChangeWord,
  type ListedView,
  type OutcomeView,
  type ProfileView,
  type StepView,
  type StreamView,
  type TargetView,
} from './lifecycle-ports.js'
import { v1 } from './messages.js'

const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{7,127}$/
const wrong = (field: string, expected: string) => apiFault('API_FIELD', { field, expected })

const NUMBERS = {
  create: v1.Operation.OPERATION_CREATE,
  start: v1.Operation.OPERATION_START,
  stop: v1.Operation.OPERATION_STOP,
  rebake: v1.Operation.OPERATION_REBAKE,
  revoke: v1.Operation.OPERATION_REVOKE,
  delete: v1.Operation.OPERATION_DELETE,
} as const satisfies Record<ChangeWord, number>

function readRequestId(value: string): string {
  if (!REQUEST_ID.test(value)) throw wrong('request_id', '8 to 128 letters, digits and . _ : -')
  return value
}

// untrusted: every request
export function readChange(request: LifecycleRequest<'Lifecycle/ChangeWorkspace'>) {
  const operation = CHANGE_WORDS.find((word) => NUMBERS[word] === request.operation)
  if (operation === undefined) throw wrong('operation', 'an operation on one workspace')
  const workspace = readWorkspace(request.workspace)
  const { profile } = request
  if ((operation === 'create') !== (profile !== null && profile !== undefined))
    throw wrong('profile', 'there for a create, and only for that')
  const asked = {
    requestId: readRequestId(request.requestId),
    operation,
    workspace,
    reason: readReason(request.reason),
  }
  return profile ? { ...asked, profile: profileOf(workspace, profile) } : asked
}

type ProfileMessage = NonNullable<LifecycleRequest<'Lifecycle/ChangeWorkspace'>['profile']>

/** A message as a value; nothing is checked. */
export function profileOf(workspace: string, given: ProfileMessage): ProfileView {
  const { user, session, image, cpus, memoryMib, network, channel, baseline, volumes, device } =
    v1.Profile.create(given)
  const policy = baseline ? 'baseline' : 'wait-initial'
  const known = { workspace, user, session, ...(device === '' ? {} : { device }) }
  return { ...known, image, cpus, memoryMiB: memoryMib, network, channel, policy, volumes }
}

export const profileMessage = ({
  user,
  session,
  device = '',
  image,
  cpus,
  memoryMiB,
  network,
  channel,
  policy,
  volumes,
}: ProfileView) =>
  v1.Profile.create({
    ...{ user, session, device, image, cpus, memoryMib: memoryMiB, network, channel },
    baseline: policy === 'baseline',
    volumes: [...volumes],
  })

export function changeMessage(asked: {
  readonly requestId: string
  readonly operation: ChangeWord
  readonly workspace: string
  readonly reason: string
  readonly profile?: ProfileView
}): LifecycleRequest<'Lifecycle/ChangeWorkspace'> {
  const { requestId, operation, workspace, reason, profile } = asked
  return v1.ChangeWorkspaceRequest.create({
    ...{ requestId, operation: NUMBERS[operation], workspace, reason },
    ...(profile ? { profile: profileMessage(profile) } : {}),
  })
}

export function readKill(request: LifecycleRequest<'Lifecycle/KillWorkspaces'>) {
  return {
    requestId: readRequestId(request.requestId),
    reason: readReason(request.reason),
    target: readTarget(request),
  }
}

export const killStepMessage = (workspace: string, step: StepView): LifecycleResponse<'Lifecycle/KillWorkspaces'> =>
  v1.KillWorkspacesResponse.create({ workspace, step: stepMessage(step) })

function readTarget({
  target,
  workspace,
  user,
  image,
  everything,
}: LifecycleRequest<'Lifecycle/KillWorkspaces'>): TargetView {
  switch (target) {
    case 'workspace':
      return { kind: 'workspace', workspace: readWorkspace(workspace ?? '') }
    case 'user':
      return { kind: 'user', user: readReason(user ?? '') }
    case 'image':
      return { kind: 'image', image: readReason(image ?? '') }
    case 'everything':
      if (everything === true) return { kind: 'everything' }
      throw wrong('everything', 'true')
    default:
      throw wrong('target', 'a workspace, a user, an image or everything')
  }
}

export function killMessage(asked: {
  readonly requestId: string
  readonly reason: string
  readonly target: TargetView
  /** Each step is told as it is done. */
  readonly tellSteps: boolean
}) {
  const { requestId, reason, target, tellSteps } = asked
  const { kind, ...named } = target
  return v1.KillWorkspacesRequest.create({
    ...{ requestId, reason, tellSteps },
    ...(kind === 'everything' ? { everything: true } : named),
  })
}

export const stepMessage = ({ step, atMs, elapsedMs, outcome, why = '', what = '', receipt = '' }: StepView) =>
  v1.StepDone.create({ step, atMs: Math.round(atMs), elapsedMs, outcome, why, what, receipt })

export function outcomeMessage({
  state,
  steps,
  owed,
  elapsedMs,
}: OutcomeView): LifecycleResponse<'Lifecycle/ChangeWorkspace'> {
  const outcome = v1.WorkspaceOutcome.create({ state, steps: steps.map(stepMessage), owed: [...owed], elapsedMs })
  return v1.ChangeWorkspaceResponse.create({ outcome })
}

export const listedMessage = ({ profile, state, machine, incarnation, image, lease, owed, doing }: ListedView) =>
  v1.WorkspaceListed.create({
    ...{ workspace: profile.workspace, profile: profileMessage(profile), state, machine, incarnation, image },
    ...{ leaseGeneration: lease, owed: [...owed], doing },
  })

export const streamMessage = ({ error = '', ...rest }: StreamView) => v1.StreamHeard.create({ ...rest, error })

const MAX_CONSOLE = 1 << 20

export function readConsole({ workspace, maxBytes }: LifecycleRequest<'Lifecycle/ReadConsole'>) {
  if (maxBytes < 1 || maxBytes > MAX_CONSOLE) throw wrong('max_bytes', `a number from 1 to ${MAX_CONSOLE}`)
  return { workspace: readWorkspace(workspace), maxBytes }
}
