// One FencePolicy and the SandboxPolicy that it carries -> one Policy, and advice about what stands in it for nothing.

import type { Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import { distinct } from './clause-id.js'
import { fenceClauses } from './fence-policy/clauses.js'
import type { FencePolicy } from './fence-policy/model.js'
import { Findings } from './findings.js'
import { hostMatches } from './host-pattern.js'
import type { Clause, Dimension, Policy } from './model.js'
import { sandboxClauses } from './sandbox-policy/clauses.js'
import type { SandboxPolicy } from './sandbox-policy/model.js'

export interface Folded {
  readonly policy: Policy
  /** Warnings only. */
  readonly notes: readonly Note[]
}

export function foldPolicy(fence: FencePolicy, sandbox: SandboxPolicy | undefined): Folded {
  const clauses = distinct([...fenceClauses(fence), ...(sandbox ? sandboxClauses(sandbox) : [])])
  const policy: Policy = {
    name: fence.name,
    file: fence.file,
    appliesTo: fence.appliesTo,
    requireDomain: fence.requireDomain,
    onExpiry: fence.onExpiry,
    delegate: fence.delegate.map(({ dimension }) => dimension).sort(),
    dns: { pins: new Map(fence.pins.map(({ name, addresses }) => [name, addresses])) },
    ...(fence.classification && { classification: fence.classification }),
    clauses,
    ...(fence.review.length > 0 && { review: fence.review }),
    ...(sandbox && { sandbox }),
  }
  return { policy, notes: advice(fence, clauses) }
}

/** Needs that are seen only later, or that no key of today carries: never called unused. */
const LATER: readonly Dimension[] = ['shared-address', 'process']

function advice(fence: FencePolicy, clauses: readonly Clause[]): readonly Note[] {
  const findings = new Findings(fence.file, 'strict')
  const patterns = clauses.flatMap((clause) =>
    clause.kind === 'egress' ? clause.to.flatMap((target) => (target.kind === 'name' ? [target.pattern] : [])) : [],
  )
  const exact = new Set(patterns)
  const wild = patterns.filter((pattern) => pattern.includes('*'))
  for (const { name, origin } of fence.pins)
    if (!exact.has(name) && !wild.some((pattern) => hostMatches(pattern, name)))
      findings.note('unused-pin', origin, `no clause grants ${quote(name)}, so this pin does nothing`)
  const needed = new Set(clauses.flatMap((clause) => clause.losses.map(({ dimension }) => dimension)))
  for (const { dimension, origin } of fence.delegate)
    if (!needed.has(dimension) && !LATER.includes(dimension))
      findings.note('unused-delegate', origin, `no clause needs ${dimension} to be delegated; remove it`)
  return findings.list()
}
