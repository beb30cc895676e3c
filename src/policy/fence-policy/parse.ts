// Bytes of a FencePolicy -> its model, and every finding at once. Untrusted input; never throws.
//
// The JSON Schema says what keys and shapes there are (schema-notes.ts). The same tree is then read by a table whose shape
// findings are dropped, since the schema said them already, and checked for meaning (checks.ts).

import { isDigest } from '../../base/digest.js'
import { LIMITS } from '../../base/limits.js'
import type { Note } from '../../base/note.js'
import { quote } from '../../base/quote.js'
import { readYaml, type YamlNode, type YamlResult } from '../../base/yaml.js'
import { Findings, type Spot } from '../findings.js'
import { DIMENSIONS, type Dimension, REVIEWS } from '../model.js'
import { isWorkspacePattern } from '../workspace-id.js'
import { readProcess, readVolumes } from './host.js'
import type { FenceDelegate, FencePolicy, FenceQuota } from './model.js'
import { checkPins, readEgress, readIngress } from './network.js'
import { readObserve } from './observe.js'
import { checkSchema } from './schema-notes.js'
import { type FenceFound, fence } from './shape.js'

export interface FenceResult {
  /** Present exactly when no note is an error. */
  readonly policy?: FencePolicy
  /** The SandboxPolicy that the document names, where that could be read, refused or not. */
  readonly reference?: NonNullable<FencePolicy['sandboxPolicy']>
  readonly notes: readonly Note[]
}

export const parseFencePolicy = (bytes: Uint8Array, file: string): FenceResult =>
  readFencePolicy(readYaml(bytes, file, { bytes: LIMITS.memberBytes, nodes: LIMITS.documentNodes }), bytes.length, file)

/** The same from a tree that was read already; `size` is the document's length in octets. */
export function readFencePolicy(yaml: YamlResult, size: number, file: string): FenceResult {
  const findings = new Findings(file, 'strict')
  findings.adopt(yaml.notes)
  const root = yaml.root ?? yaml.repeated
  if (!root) return { notes: findings.list() }
  checkSchema(root, size, findings)
  const policy = read(root, file, findings)
  const reference = policy?.sandboxPolicy
  return {
    notes: findings.list(),
    ...(policy && !findings.failed && { policy }),
    ...(reference && { reference }),
  }
}

function read(root: YamlNode, file: string, findings: Findings): FencePolicy | undefined {
  const start: Spot = { line: root.line, column: root.column, path: '' }
  const found = fence(root, start, new Findings(file, 'strict'))
  if (!found) return undefined
  const { of } = found
  const egress = readEgress(of.egress ?? [], findings)
  const ingress = readIngress(of.ingress ?? [], findings)
  const pins = checkPins(of.dns?.of.pins ?? [], findings)
  const sandbox = of.sandboxPolicy
  const classification = readClassification(found, findings)
  const process = readProcess(of.process, findings)
  const observe = readObserve(of.observe, findings)
  return {
    file,
    name: of.metadata?.of.name ?? '',
    appliesTo: readWorkspaces(found, findings),
    ...(sandbox && {
      sandboxPolicy: {
        path: readMemberPath(sandbox.of.path ?? '', sandbox.spot('path'), findings),
        profile: sandbox.of.profile === 'compat' ? 'compat' : 'strict',
        role: sandbox.of.role === 'effective' ? 'effective' : 'authored',
        origin: { ...findings.origin(sandbox.spot('path')), column: sandbox.spot('path').column },
      },
    }),
    delegate: readDelegate(found, findings),
    review: REVIEWS.filter((word) => of.review?.includes(word)).sort(),
    requireDomain: domainOf(of.require_domain),
    onExpiry: of.on_expiry === 'hold' ? 'hold' : 'suspend',
    ...(classification && { classification }),
    egress,
    ...(observe && { observe }),
    ingress,
    pins,
    quotas: readQuotas(found, findings),
    volumes: readVolumes(of.storage?.of.volumes ?? [], findings),
    ...(process && { process }),
  }
}

const domainOf = (text: string | undefined): FencePolicy['requireDomain'] =>
  text === 'dpu-host-trusted' || text === 'dpu-restricted' ? text : 'host'

function readWorkspaces(found: FenceFound, findings: Findings): string[] {
  const seen = new Set<string>()
  for (const { value, at } of found.of.applies_to?.of.workspaces ?? []) {
    if (!isWorkspacePattern(value))
      findings.note(
        'bad-workspace',
        at,
        `${quote(value)} is not a workspace id such as spiffe://corp.example/ws/alpha, or spiffe://corp.example/ws/* for all below`,
      )
    else if (seen.has(value)) findings.note('duplicate-value', at, `${quote(value)} stands twice`)
    seen.add(value)
  }
  return [...seen].sort()
}

/** Bundle-relative, in one spelling: no `.` or `..`, no empty segment, no leading slash. */
function readMemberPath(path: string, at: Spot, findings: Findings): string {
  if (path !== '' && path.split('/').some((segment) => segment === '' || segment === '.' || segment === '..'))
    findings.note('bad-path', at, `${quote(path)} is not a path within the bundle such as policies/sandbox.yaml`)
  return path
}

function readDelegate(found: FenceFound, findings: Findings): FenceDelegate[] {
  const seen = new Map<string, FenceDelegate>()
  for (const { value, at } of found.of.delegate ?? []) {
    if (!(DIMENSIONS as readonly string[]).includes(value)) continue
    if (seen.has(value)) findings.note('duplicate-value', at, `${quote(value)} stands twice`)
    const origin = { ...findings.origin(at), column: at.column }
    seen.set(value, { dimension: value as Dimension, origin })
  }
  return [...seen.values()]
}

function readClassification(found: FenceFound, findings: Findings): FencePolicy['classification'] {
  const section = found.of.data_classification
  if (!section) return undefined
  const { uri = '', digest = '' } = section.of
  // RFC 3986 section 3: a scheme, a colon, and no white space.
  if (uri !== '' && !/^[a-z][a-z0-9+.-]*:[^\s]+$/i.test(uri))
    findings.note('bad-format', section.spot('uri'), `${quote(uri)} is not an absolute URI`)
  if (isDigest(digest)) return { uri, digest }
  if (digest !== '')
    findings.note(
      'bad-digest',
      section.spot('digest'),
      `${quote(digest)} is not "sha256:" and 64 lower-case hex digits`,
    )
  return undefined
}

const QUOTAS = {
  connections_per_second: 'connections-per-second',
  live_connections: 'live-connections',
  bytes_per_second: 'bytes-per-second',
} as const

function readQuotas(found: FenceFound, findings: Findings): FenceQuota[] {
  const quotas = found.of.quotas
  if (!quotas) return []
  return (Object.keys(QUOTAS) as (keyof typeof QUOTAS)[]).flatMap((key) => {
    const value = quotas.of[key]
    return value === undefined ? [] : [{ limit: QUOTAS[key], value, origin: findings.origin(quotas.spot(key)) }]
  })
}
