// What is owed: steps that failed and are tried again until they are done, each in the name of the request that it belongs to, so that the
// agent's receipt, the access broker and the trail name whoever asked, and not the companion's patience. Pure.

import { canonicalize, type Json } from '../../base/canonical.js'
import type { Step } from './operations.js'
import type { Debt, Request, StepDone } from './record.js'

/** Steps by the request that they are owed to, and whoever has a fence to get first. */
export function debtors(
  owed: readonly Debt[],
): readonly { readonly request: Request; readonly steps: readonly Step[] }[] {
  const found = new Map<string, { readonly request: Request; readonly steps: Step[] }>()
  for (const { step, request } of owed) {
    const key = canonicalize(request as unknown as Json)
    const one = found.get(key) ?? { request, steps: [] }
    one.steps.push(step)
    found.set(key, one)
  }
  const isOpen = ({ steps }: { readonly steps: readonly Step[] }): number => (steps.includes('fence') ? 0 : 1)
  return [...found.values()].sort((a, b) => isOpen(a) - isOpen(b))
}

export interface Tried {
  readonly steps: readonly StepDone[]
  /** Steps that failed and are not given up. */
  readonly failed: readonly Step[]
  readonly request: Request
  readonly nowMs: number
}

/**
 * What is owed when an operation has come to its end: of what was owed before, what it did not do, and what it failed to do, which it owes
 * from now on itself. A machine that could not be shut down is ended. */
export function owedAfter(before: readonly Debt[], { steps, failed, request, nowMs }: Tried): readonly Debt[] {
  const mine = new Set<Step>(failed.map((step) => (step === 'halt' ? 'end' : step)))
  const { requestId, digest, change, by, reason } = request
  const debt = { sinceMs: nowMs, request: { requestId, digest, change, by, reason } }
  return [
    ...unpaid(before, steps).filter(({ step }) => !mine.has(step)),
    ...[...mine].map((step) => ({ step, ...debt })),
  ]
}

/** What is left of it. */
export function unpaid(before: readonly Debt[], steps: readonly StepDone[]): readonly Debt[] {
  const done = new Set(steps.filter(({ outcome }) => outcome === 'done').map(({ step }) => step))
  return before.filter(({ step }) => !done.has(step))
}

/** When the first of these steps failed first. */
export const owedSince = (owed: readonly Debt[], steps: readonly Step[]): number =>
  Math.min(...owed.filter(({ step }) => steps.includes(step)).map(({ sinceMs }) => sinceMs))
