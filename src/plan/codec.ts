// The one byte form of a plan (RFC 8785), and its digest. The digest is what the kernel, the events and the evidence carry.

import { decodeUtf8, utf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, digestOf } from '../base/digest.js'
import { isObject, parseJson } from '../base/json.js'
import { planFault } from './errors.js'
import { type BackendName, type Grant, PLAN_FORMAT, type Plan, type PlanSlice, type WorkspacePlan } from './model.js'

export const encodePlan = (plan: Plan): Uint8Array<ArrayBuffer> => utf8(canonicalize(plan as unknown as Json))

export const planDigest = (plan: Plan): Digest => digestOf(encodePlan(plan))

/**
 * Reads what `encodePlan` wrote. The digest was recorded beside it by whoever stored it; any other content is refused with
 * PLAN_DIGEST_MISMATCH, so the shape needs no second check. Throws PLAN_FORMAT_UNKNOWN for another version.
 */
export function decodePlan(bytes: Uint8Array, expected: Digest): Plan {
  const found = digestOf(bytes)
  if (found !== expected) throw planFault('PLAN_DIGEST_MISMATCH', { expected, found })
  // The engine's own reader: what has the digest was written by us, and a large plan is read many times.
  return shareParts(ofFormat(JSON.parse(decodeUtf8(bytes) ?? 'null') as Json))
}

/** Reads a plan that somebody kept as a file. Throws PLAN_FORMAT_UNKNOWN, JsonError. */
export const readPlan = (bytes: Uint8Array): Plan => ofFormat(parseJson(decodeUtf8(bytes) ?? ''))

function ofFormat(value: Json): Plan {
  const format = isObject(value) ? value.format : undefined
  if (format !== PLAN_FORMAT)
    throw planFault('PLAN_FORMAT_UNKNOWN', { found: typeof format === 'string' ? format : 'none' })
  return value as unknown as Plan
}

/** What stands in many grants is held once: read as so many texts, clause ids and ports would be half of a large plan in memory. */
function shareParts(plan: Plan): Plan {
  const clauseLists = new Map<string, Grant['clauses']>()
  const ranges = new Map<string, Grant['ports']>()
  const shared = (grant: Grant): Grant => ({
    ...grant,
    clauses: once(clauseLists, grant.clauses.join(' '), grant.clauses),
    ports: grant.ports && once(ranges, `${grant.ports.from}-${grant.ports.to}`, grant.ports),
  })
  const workspaces = plan.workspaces.map((entry) => ({
    ...entry,
    network: {
      ...entry.network,
      egress: entry.network.egress.map(shared),
      ingress: entry.network.ingress.map(shared),
      ...(entry.network.sessions ? { sessions: entry.network.sessions.map(shared) } : {}),
    },
  }))
  return { ...plan, workspaces }
}

function once<T>(held: Map<string, T>, key: string, value: T): T {
  const found = held.get(key)
  if (found !== undefined) return found
  held.set(key, value)
  return value
}

/** The backends that a workspace is put on, each once: of its traffic, of its files, of its processes. */
export const carriersOf = ({ backend, storage, process }: WorkspacePlan): readonly BackendName[] => [
  ...new Set([
    backend,
    ...(storage ? [storage.backend] : []),
    ...(process?.blocks ? [process.blocks.backend] : []),
    ...(process?.detects ? [process.detects.backend] : []),
  ]),
]

/** What one backend gets of a plan. `digest` is the plan's, for callers that have it: encoding a large plan again costs. */
export const sliceFor = (
  plan: Plan,
  backend: BackendName,
  generation: number,
  digest: Digest = planDigest(plan),
): PlanSlice => ({
  generation,
  planDigest: digest,
  source: plan.source,
  workspaces: plan.workspaces.filter((entry) => carriersOf(entry).includes(backend)),
})
