// The policies of a plan -> a program that answers questions, once for each generation: names and ports to what is granted
// there, rules of requests compiled, files and executables by workspace. Plain lookups; nothing in it changes afterwards.
//
// Two kinds of grants stand beside each other, as in the plan: those of the SandboxPolicy, which a listed program must ask for
// and whose requests may be inspected, and those of the FencePolicy, which anything in the workspace has.

import type { Digest } from '../base/digest.js'
import { type Ip, inPrefix, type Prefix, parseIp, parsePrefix } from '../base/ip.js'
import type { PortRange } from '../base/ports.js'
import { prefixClass } from '../base/reserved.js'
import { withoutSensitive } from '../plan/grants.js'
import type { Plan, StorageSlice, WorkspaceId } from '../plan/model.js'
import { foldName, hostMatches } from '../policy/host-pattern.js'
import type { EgressClause, Policy, ProcessClause, Review, Target } from '../policy/model.js'
import { endpointClause } from '../policy/sandbox-policy/clauses.js'
import type { SandboxFilesystem } from '../policy/sandbox-policy/model.js'
import { type BinaryMatch, compileBinaries } from './binaries.js'
import { allowed, type ClausePlace, type Decision } from './model.js'
import { compileRequests, type Requests } from './requests.js'

/** One granted host, or prefix, with its ports. */
export interface Endpoint {
  readonly at: ClausePlace
  readonly binary: BinaryMatch
  readonly protocol: 'tcp' | 'udp'
  /** Undefined for what is granted by address alone. */
  readonly name: ((name: string) => boolean) | undefined
  /** For a name: what its addresses must lie in; by address: the prefixes granted. Undefined: any public address. */
  readonly within: readonly Prefix[] | undefined
  readonly withinText: readonly string[]
  /** Whether an address in `within` may be reserved: prefixes that open their range, and signed pins. */
  readonly opens: (ip: Ip) => boolean
  readonly requests: Requests | undefined
  /** The answer where nothing inspects the inside. */
  readonly grant: Decision
}

export interface PortEntry {
  readonly exact: Map<string, Endpoint[]>
  /** Wildcards, and what is granted by address. */
  readonly wide: Endpoint[]
}

export interface WorkspaceProgram {
  readonly onExpiry: 'suspend' | 'hold'
  readonly byPort: ReadonlyMap<number, PortEntry>
  /** Ranges too wide to be listed port by port. */
  readonly ranged: readonly { readonly ports: PortRange; readonly endpoint: Endpoint }[]
  readonly filesystem: { readonly of: SandboxFilesystem | undefined; readonly workdir: string | undefined } | undefined
  readonly filesystemAt: ClausePlace | undefined
  readonly storage: StorageSlice | undefined
  readonly processes: readonly ProcessClause[]
  readonly review: ReadonlySet<Review>
}

export interface Program {
  readonly generation: number
  readonly planDigest: Digest
  readonly bundleDigest: Digest
  readonly expiresAtMs: number
  readonly workspaces: ReadonlyMap<WorkspaceId, WorkspaceProgram>
}

export interface ProgramInput {
  readonly plan: Plan
  readonly planDigest: Digest
  readonly generation: number
  readonly policies: readonly Policy[]
  /** Where the runtime puts the workspace's own files, which `include_workdir` opens; without it that key opens nothing. */
  readonly workdir?: string
}

/** A wider range is looked through instead of listed. */
const LISTED_PORTS = 16

export function compileProgram({ plan, planDigest, generation, policies, workdir }: ProgramInput): Program {
  const byName = new Map(policies.map((policy) => [policy.name, policy]))
  return {
    generation,
    planDigest,
    bundleDigest: plan.source.bundleDigest,
    expiresAtMs: plan.source.expiresAtMs,
    workspaces: new Map(
      plan.workspaces.map(({ workspace, policy, onExpiry, storage }) => [
        workspace,
        compileWorkspace(policy === undefined ? undefined : byName.get(policy), onExpiry, storage, workdir),
      ]),
    ),
  }
}

function compileWorkspace(
  policy: Policy | undefined,
  onExpiry: 'suspend' | 'hold',
  storage: StorageSlice | undefined,
  workdir: string | undefined,
): WorkspaceProgram {
  const byPort = new Map<number, PortEntry>()
  const ranged: { ports: PortRange; endpoint: Endpoint }[] = []
  const put = (endpoint: Endpoint, ranges: readonly PortRange[], exact: string | undefined): void => {
    for (const ports of ranges)
      if (ports.to - ports.from < LISTED_PORTS)
        for (let port = ports.from; port <= ports.to; port++) entry(byPort, port, exact).push(endpoint)
      else ranged.push({ ports, endpoint })
  }
  for (const rule of policy?.sandbox?.rules ?? []) {
    const binary = compileBinaries(rule.binaries)
    for (const endpoint of rule.endpoints) {
      const clause = endpointClause(rule, endpoint)
      if (clause?.kind !== 'egress' || !policy) continue
      const { path, file } = endpoint.origin
      const requests = endpoint.requests && compileRequests(clause.id, `${file} ${path}`, endpoint, endpoint.requests)
      place(clause, policy, { binary, requests }, put)
    }
  }
  for (const clause of policy?.clauses ?? [])
    if (clause.kind === 'egress' && policy && !clause.losses.some(({ dimension }) => dimension === 'binary'))
      place(clause, policy, { binary: () => true, requests: undefined }, put)
  const filesystemAt = policy?.sandbox && {
    clause: policy.clauses.find(({ kind, losses }) => kind === 'storage' && losses.length > 0)?.id ?? '',
    place: `${policy.sandbox.file} filesystem_policy`,
  }
  return {
    onExpiry,
    byPort,
    ranged,
    filesystem: policy?.sandbox && { of: policy.sandbox.filesystem, workdir },
    filesystemAt,
    storage,
    processes: (policy?.clauses ?? []).filter((clause) => clause.kind === 'process'),
    review: new Set(policy?.review),
  }
}

function entry(byPort: Map<number, PortEntry>, port: number, exact: string | undefined): Endpoint[] {
  let found = byPort.get(port)
  if (!found) {
    found = { exact: new Map(), wide: [] }
    byPort.set(port, found)
  }
  if (exact === undefined) return found.wide
  const list = found.exact.get(exact) ?? []
  found.exact.set(exact, list)
  return list
}

type Inside = Pick<Endpoint, 'binary' | 'requests'>
type Put = (endpoint: Endpoint, ports: readonly PortRange[], exact: string | undefined) => void

/** The endpoints of one egress clause: one for each name, one for all its prefixes. */
function place(clause: EgressClause, policy: Policy, inside: Inside, put: Put): void {
  if (clause.protocol === 'icmp-echo') return
  const at = { clause: clause.id, place: `${clause.origin.file} ${clause.origin.path}` }
  const { protocol } = clause
  const ports = clause.ports.flatMap(withoutSensitive)
  const shared = { at, protocol, ...inside, grant: allowed('grant', at) }
  const prefixes = clause.to.flatMap((target) => (target.kind === 'prefix' ? [target.prefix] : []))
  if (prefixes.length > 0) {
    const within = prefixes.flatMap(prefixOf)
    const opening = within.filter((prefix) => prefixClass(prefix) === 'opens')
    const opens = (ip: Ip): boolean => opening.some((prefix) => inPrefix(ip, prefix))
    put({ ...shared, name: undefined, within, withinText: prefixes, opens }, ports, undefined)
  }
  for (const target of clause.to)
    if (target.kind === 'name') put({ ...shared, ...named(target, policy) }, ports, exactOf(target))
}

const exactOf = (target: Target & { kind: 'name' }): string | undefined =>
  target.wildcard ? undefined : target.pattern

function named(
  target: Target & { kind: 'name' },
  policy: Policy,
): Pick<Endpoint, 'name' | 'within' | 'withinText' | 'opens'> {
  const { pattern, wildcard } = target
  const pins = wildcard ? undefined : policy.dns.pins.get(pattern)
  // Both narrow: a pinned address outside allowed_ips is not granted by the plan either.
  const limits = (target.within ?? []).flatMap(prefixOf)
  const pinned = pins
    ?.flatMap(prefixOf)
    .filter((pin) => target.within === undefined || limits.some((limit) => inPrefix(pin, limit)))
  const within = pinned ?? (target.within === undefined ? undefined : limits)
  return {
    name: wildcard ? (name) => hostMatches(pattern, name) : (name) => name === pattern,
    within,
    withinText: pins ?? target.within ?? [],
    // A learned address never opens a reserved range; a signed pin does.
    opens: (ip) => pinned?.some((pin) => inPrefix(ip, pin)) ?? false,
  }
}

const prefixOf = (text: string): Prefix[] => {
  const prefix = parsePrefix(text)?.prefix
  return prefix ? [prefix] : []
}

/** A last character that an address can have: most names end in another, and are not read as one. */
function endsLikeAddress(host: string): boolean {
  const code = host.charCodeAt(host.length - 1) | 0x20
  return code < 0x40 || (code >= 0x61 && code <= 0x66)
}

/** The name as endpoints know it, or the address that stands in its place. */
export function readHost(host: string): { readonly name: string; readonly ip: Ip | undefined } {
  const ip = endsLikeAddress(host) && /^[0-9a-fA-F.:]+$/.test(host) ? parseIp(host) : undefined
  return { name: ip ? '' : foldName(host), ip }
}
