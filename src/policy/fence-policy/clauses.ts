// A FencePolicy -> its own clauses. They have no losses: everything that a FencePolicy says is for the fence to enforce, and
// what a backend cannot enforce refuses the bundle.

import { type Draft, identify } from '../clause-id.js'
import type { Clause } from '../model.js'
import type { FencePolicy } from './model.js'

export function fenceClauses(policy: FencePolicy): Clause[] {
  const drafts: Draft[] = [
    ...policy.egress.map((entry): Draft => ({ kind: 'egress', ...entry, losses: [] })),
    ...policy.ingress.map((entry): Draft => ({ kind: 'ingress', ...entry, losses: [] })),
    ...(policy.observe ? [{ kind: 'observe' as const, name: 'observe', losses: [], ...policy.observe }] : []),
    ...policy.quotas.map((entry): Draft => ({ kind: 'quota', name: entry.limit, losses: [], ...entry })),
    ...policy.volumes.flatMap(storage),
  ]
  if (policy.process) {
    const { exec, activities, reaction, origin } = policy.process
    const draft = { kind: 'process', origin, losses: [], reaction } as const
    if (exec.length > 0) drafts.push({ ...draft, name: 'process', rule: 'exec', values: exec })
    if (activities.length > 0) drafts.push({ ...draft, name: 'process.detect', rule: 'activity', values: activities })
  }
  return drafts.map(identify)
}

function storage(volume: FencePolicy['volumes'][number]): Draft[] {
  const { name, origin, openFiles } = volume
  const same = { kind: 'storage', name, origin, losses: [], volume: name, ...(openFiles && { openFiles }) } as const
  const rows = [
    ['deny', volume.deny],
    ['read-only', volume.readOnly],
    ['read-write', volume.readWrite],
  ] as const
  return rows.flatMap(([access, paths]): Draft[] => (paths.length === 0 ? [] : [{ ...same, access, paths }]))
}
