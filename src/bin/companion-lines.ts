// What the companion says of what it does: a line for the log, and a fact for the trail, where there is something to say.

import type { LifecycleFact } from '../audit/fact-lifecycle.js'
import { digestOfText } from '../base/digest.js'
import type { CompanionRequest } from '../cli/host-companion.js'
import type { Told } from '../companion/lifecycle/lifecycle.js'

type Line = Parameters<CompanionRequest['tell']>[0]

/** Nothing is said of steps that were done: the operation says it. */
export function lineOf(told: Told, atMs: number): Line | undefined {
  switch (told.kind) {
    case 'changed': {
      const { change, state, owed, failure, elapsedMs } = told.answer
      const detail = { workspace: told.record.workspace, change, state, elapsedMs: Math.round(elapsedMs), by: told.by }
      if (failure) {
        const why = [failure.message, ...failure.causes].join(': ')
        return { atMs, level: 'warning', event: 'failed', detail: { ...detail, why } }
      }
      const level = owed.length > 0 || change === 'reclaim' ? 'warning' : 'info'
      if (told.owedSinceMs !== undefined) {
        const steps = told.answer.steps.filter(({ outcome }) => outcome === 'done').map(({ step }) => step)
        const since = new Date(told.owedSinceMs).toISOString()
        return { atMs, level, event: 'owed-done', detail: { ...detail, steps, since, owed } }
      }
      return { atMs, level, event: 'changed', detail: { ...detail, ...(owed.length > 0 ? { owed } : {}) } }
    }
    case 'step': {
      const { workspace, change, done } = told
      if (done.outcome === 'done') return undefined
      const detail = { workspace, change, step: done.step, why: done.why ?? '' }
      return { atMs, level: 'warning', event: `step-${done.outcome}`, detail }
    }
    case 'found': {
      const { kind, workspace } = told.finding
      const why = told.finding.kind === 'reclaim' ? told.finding.why : ''
      return { atMs, level: 'warning', event: 'found', detail: { workspace, kind, why } }
    }
    case 'left':
      return { atMs, level: 'warning', event: 'layer-left', detail: { workspace: told.workspace } }
    case 'unrecorded':
      return { atMs, level: 'error', event: 'unrecorded', detail: { workspace: told.workspace, why: told.why } }
    case 'unseen':
      return { atMs, level: 'warning', event: `${told.what}-unseen`, detail: { why: told.why } }
    case 'seen':
      return { atMs, level: 'info', event: `${told.what}-seen`, detail: {} }
  }
}

export function factOf(told: Told, atMs: number): LifecycleFact | undefined {
  if (told.kind !== 'changed') return undefined
  const { answer, record, by, reason } = told
  const { change, state, owed, steps, requestId, failure, elapsedMs } = answer
  const attachmentId = steps.find(({ step }) => step === 'attach')?.what ?? ''
  const { workspace, profile, image, lease } = record
  return {
    kind: 'workspace-changed',
    atMs,
    workspace: { workspace, attachmentId, interface: profile?.network ?? '' },
    ...{ change, state, owed, by, reason, requestId, image, elapsedMs },
    ...(failure ? { failure: { code: failure.code, say: [failure.message, ...failure.causes].join(': ') } } : {}),
    steps: steps.map(({ step, outcome, elapsedMs: ms, receipt }) => ({
      ...{ step, outcome, elapsedMs: ms },
      ...(receipt === undefined ? {} : { receipt: digestOfText(receipt) }),
    })),
    ...(told.owedSinceMs === undefined ? {} : { owedSinceMs: told.owedSinceMs }),
    user: profile?.user ?? '',
    leaseGeneration: lease,
  }
}
