// Endpoints that can match one connection must not disagree (sheet section 7, upstream's `find_endpoint_ambiguities`). Takes
// all endpoints of a document; says for each endpoint the first earlier one that it contradicts, and where plain grants stand
// beside inspected ones.
//
// Pairs are made port by port, exact names through a map, so that ordinary documents cost what they are long. What is left is
// quadratic in wildcards, so the work is counted and ends in a finding of its own.

import type { Findings } from '../findings.js'
import { globsIntersect, hostsOverlap } from '../host-pattern.js'
import { type EndpointView, isInspected } from './endpoint-checks.js'

/** Steps of comparing, about a second. */
const BUDGET = 40_000_000
const DEFAULT_BODY_BYTES = 65_536

interface Subject {
  readonly index: number
  readonly view: EndpointView
  /** '' matches every name. */
  readonly host: string
  readonly allowedIps: string
  readonly tls: 'auto' | 'skip'
  /** Settings of its own beyond L4 (section 7). */
  readonly configured: boolean
}

export function checkOverlap(views: readonly EndpointView[], findings: Findings): void {
  const subjects = views.flatMap((view, index) => {
    const subject = subjectOf(view, index)
    return subject ? [subject] : []
  })
  const budget = { left: BUDGET }
  const conflicting = new Set<number>()
  const beside = new Set<number>()
  for (const [a, b] of pairs(subjects, budget)) {
    if (!conflicting.has(b.index)) {
      const differs = contradiction(a, b, budget)
      if (differs !== undefined) {
        conflicting.add(b.index)
        findings.note(
          'ambiguous-overlap',
          b.view.found.at,
          `this endpoint and the one at line ${a.view.found.at.line} (${a.view.found.at.path}) match the same connections and disagree on ${differs}; make them agree or keep one`,
        )
      }
    }
    const [plain, inspected] = a.view.protocol === '' ? [a, b] : [b, a]
    if (plain.view.protocol === '' && isInspected(inspected.view.protocol) && !beside.has(plain.index)) {
      beside.add(plain.index)
      findings.note(
        'l4-overlaps-l7',
        plain.view.found.at,
        `this plain endpoint admits what the inspected one at line ${inspected.view.found.at.line} (${inspected.view.found.at.path}) would judge`,
      )
    }
  }
  if (budget.left < 0)
    findings.note(
      'overlap-budget',
      { line: 0, column: 0, path: 'network_policies' },
      'too many endpoints with wildcards or without hosts share a port to compare them all; use fewer',
    )
}

function subjectOf(view: EndpointView, index: number): Subject | undefined {
  const { found, of, host } = view
  if (host.kind === 'bad' || (found.has('host') && of.host === undefined)) return undefined
  // A value that could not be read has its own finding; comparing a guess would only add noise.
  if ((found.has('protocol') && of.protocol === undefined) || (found.has('tls') && of.tls === undefined))
    return undefined
  const ips = [...new Set((of.allowed_ips ?? []).map(({ value }) => value.trim().toLowerCase()))].sort()
  return {
    index,
    view,
    host: 'name' in host ? host.name : (of.host ?? '').toLowerCase(),
    allowedIps: ips.join(' '),
    tls: of.tls === 'skip' ? 'skip' : 'auto',
    configured:
      isInspected(view.protocol) || ips.length > 0 || (of.tls ?? '') !== '' || of.credential_binding !== undefined,
  }
}

interface Bucket {
  readonly exact: Map<string, Subject[]>
  /** Wildcards and endpoints without a host. */
  readonly wide: Subject[]
  readonly all: Subject[]
}

/** Every pair with a common port and overlapping hosts, once, the earlier endpoint first. */
function* pairs(subjects: readonly Subject[], budget: { left: number }): Generator<[Subject, Subject]> {
  const byPort = new Map<number, Bucket>()
  const seen = new Set<number>()
  for (const subject of subjects) {
    const isWide = subject.host === '' || subject.host.includes('*')
    for (const port of new Set(subject.view.ports)) {
      const bucket: Bucket = byPort.get(port) ?? { exact: new Map(), wide: [], all: [] }
      byPort.set(port, bucket)
      const candidates = isWide ? bucket.all : [...(bucket.exact.get(subject.host) ?? []), ...bucket.wide]
      for (const other of candidates) {
        budget.left -= 16 + firstLabel(other.host) * firstLabel(subject.host)
        if (budget.left < 0) return
        const pair = other.index * subjects.length + subject.index
        if (seen.has(pair) || !hostsOverlap(other.host, subject.host)) continue
        seen.add(pair)
        yield [other, subject]
      }
      bucket.all.push(subject)
      if (isWide) bucket.wide.push(subject)
      else {
        const same = bucket.exact.get(subject.host)
        if (same) same.push(subject)
        else bucket.exact.set(subject.host, [subject])
      }
    }
  }
}

/** Length of the first label, the only one that can hold a partial wildcard and so cost a comparison of globs. */
const firstLabel = (host: string): number => Math.max(1, host.indexOf('.'))

/** What the two disagree on, or undefined. */
function contradiction(a: Subject, b: Subject, budget: { left: number }): string | undefined {
  if ((a.view.protocol === 'tcp') !== (b.view.protocol === 'tcp')) return 'protocol (tcp or not)'
  if (a.tls !== b.tls) return 'tls'
  if (a.allowedIps !== b.allowedIps) return 'allowed_ips'
  if (!a.configured || !b.configured || !pathsCompete(a.view.of.path ?? '', b.view.of.path ?? '', budget))
    return undefined
  const left = settings(a.view)
  const right = settings(b.view)
  return Object.keys(left).find((key) => left[key] !== right[key])
}

/** Section 7: specificity is the count of characters other than `*`; only equals compete. */
function pathsCompete(a: string, b: string, budget: { left: number }): boolean {
  const specificity = (path: string): number => path.replaceAll('*', '').length
  if (specificity(a) !== specificity(b)) return false
  if (a === b || a === '' || b === '') return true
  budget.left -= a.length * b.length
  return budget.left >= 0 && globsIntersect(asGlob(a), asGlob(b))
}

/** Upstream's route glob lets `*` cross `/`; `?` and classes count as any text, which can only find more conflicts. */
const asGlob = (path: string): string => path.replace(/[?]|\[[^\]]*\]/g, '*')

function settings(view: EndpointView): Record<string, string | number | boolean> {
  const { of, protocol } = view
  const body = of.mcp?.of.max_body_bytes ?? of.json_rpc?.of.max_body_bytes ?? DEFAULT_BODY_BYTES
  return {
    protocol,
    enforcement: of.enforcement === 'enforce' ? 'enforce' : 'audit',
    allow_encoded_slash: of.allow_encoded_slash ?? false,
    websocket_credential_rewrite: of.websocket_credential_rewrite ?? false,
    request_body_credential_rewrite: of.request_body_credential_rewrite ?? false,
    credential_signing: of.credential_signing ?? '',
    signing_service: of.signing_service ?? '',
    signing_region: of.signing_region ?? '',
    credential_binding: of.credential_binding?.of.provider ?? '',
    'the body limit': protocol === 'graphql' ? (of.graphql_max_body_bytes ?? DEFAULT_BODY_BYTES) : body,
    'mcp.strict_tool_names': of.mcp?.of.strict_tool_names ?? true,
  }
}
