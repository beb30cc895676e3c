// A SandboxPolicy -> clauses: one egress clause for each rule and endpoint, and what a fence outside the workspace loses of
// each (sheet section 14). The projection admits at least what the runtime inside may send and denies all else; every key
// that it drops is a loss with its dimension, which `delegate` must name.

import { mergePorts } from '../../base/ports.js'
import { type Draft, identify } from '../clause-id.js'
import type { Clause, Loss, Target } from '../model.js'
import type { L7Key, SandboxEndpoint, SandboxPolicy, SandboxRule } from './model.js'

/** Upstream sends everything over TCP: "general application UDP is unsupported" (section 15). */
const PROTOCOL = 'tcp'

export function sandboxClauses(policy: SandboxPolicy): Clause[] {
  const drafts: Draft[] = [
    ...policy.rules.flatMap((rule) => rule.endpoints.flatMap((endpoint) => egress(rule, endpoint) ?? [])),
    ...filesystem(policy),
    ...process(policy),
    ...policy.middlewares.map(
      ({ key, origin }): Draft => ({
        kind: 'runtime',
        name: key,
        origin,
        losses: [loss('middleware', `network_middlewares.${key}`, 'streams that it has not read')],
      }),
    ),
  ]
  return drafts.map(identify)
}

/** The egress clause of one endpoint, by which plans and verdicts know it; undefined where it grants nothing. */
export function endpointClause(rule: SandboxRule, endpoint: SandboxEndpoint): Clause | undefined {
  const draft = egress(rule, endpoint)
  return draft && identify(draft)
}

const loss = (dimension: Loss['dimension'], what: string, widenedTo: string): Loss => ({ dimension, what, widenedTo })

function egress(rule: SandboxRule, endpoint: SandboxEndpoint): Draft | undefined {
  // Section 7: a rule without binaries matches no program, so lowering it would be wider than upstream (trap 4).
  const to = endpoint.blocked || rule.binaries.length === 0 ? [] : targets(endpoint)
  if (to.length === 0) return undefined
  return {
    kind: 'egress',
    name: rule.key,
    origin: endpoint.origin,
    losses: losses(endpoint),
    protocol: PROTOCOL,
    to,
    ports: mergePorts(endpoint.ports.map((port) => ({ from: port, to: port }))),
  }
}

function targets(endpoint: SandboxEndpoint): Target[] {
  const { host, allowedIps } = endpoint
  if (host.kind === 'any') return (allowedIps ?? []).map((prefix) => ({ kind: 'prefix', prefix }))
  if (host.kind === 'address') return [{ kind: 'prefix', prefix: host.prefix }]
  const name = { kind: 'name', pattern: host.name, wildcard: host.kind === 'wildcard' } as const
  return [allowedIps ? { ...name, within: allowedIps } : name]
}

const L7_WIDENED: Partial<Record<L7Key, string>> = {
  deny_rules: 'the requests that they deny',
  path: 'every path of the host',
}

function losses(endpoint: SandboxEndpoint): Loss[] {
  return [
    loss('binary', 'binaries', 'every program of the workspace'),
    ...endpoint.l7.map((key) => loss('l7', key, L7_WIDENED[key] ?? 'every request to the host and port')),
    ...(endpoint.tls ? [loss('tls', 'tls', 'streams that nobody terminates')] : []),
    ...endpoint.credentials.map((key) => loss('credentials', key, 'requests as the workspace wrote them')),
  ]
}

function filesystem(policy: SandboxPolicy): Draft[] {
  const { filesystem: files, landlock } = policy
  const drafts: Draft[] = []
  const storage = (access: 'read-only' | 'read-write', key: string, paths: readonly string[]): void => {
    if (files && paths.length > 0)
      drafts.push({
        kind: 'storage',
        name: `filesystem_policy.${key}`,
        origin: files.origin,
        losses: [loss('filesystem', key, 'every path of the workspace')],
        access,
        paths,
      })
  }
  const runtime = (name: string, origin: Draft['origin'], widenedTo: string): void => {
    drafts.push({ kind: 'runtime', name, origin, losses: [loss('filesystem', name, widenedTo)] })
  }
  storage('read-only', 'read_only', files?.readOnly ?? [])
  storage('read-write', 'read_write', files?.readWrite ?? [])
  if (files?.includeWorkdir) runtime('filesystem_policy.include_workdir', files.origin, 'every path of the workspace')
  if (landlock) runtime(`landlock.${landlock.compatibility}`, landlock.origin, 'a workspace without Landlock')
  return drafts
}

function process(policy: SandboxPolicy): Draft[] {
  const section = policy.process
  if (!section || (section.user === undefined && section.group === undefined)) return []
  return [
    {
      kind: 'process',
      name: 'process',
      origin: section.origin,
      losses: [
        ...(section.user === undefined ? [] : [loss('user', 'run_as_user', 'every user of the workspace')]),
        ...(section.group === undefined ? [] : [loss('user', 'run_as_group', 'every group of the workspace')]),
      ],
      rule: 'user',
      values: [
        ...(section.group === undefined ? [] : [`group:${section.group}`]),
        ...(section.user === undefined ? [] : [`user:${section.user}`]),
      ],
      // The runtime starts the workload as this user; there is no violation to react to.
      reaction: 'observe',
    },
  ]
}
