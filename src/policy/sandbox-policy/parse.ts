// Bytes of an OpenShell SandboxPolicy -> what it grants, and every finding at once. Untrusted input. Refuses what any of
// upstream's validators refuses and the typos that they let pass (sheet section 12); never throws.
//
// The story: YAML tree, keys and types by table, then rules within an endpoint, a document, and between endpoints.

import { LIMITS } from '../../base/limits.js'
import type { Note } from '../../base/note.js'
import { quote } from '../../base/quote.js'
import { readYaml, type YamlResult } from '../../base/yaml.js'
import { Findings, type Spot } from '../findings.js'
import type { Profile, Role } from '../model.js'
import type { Named } from '../shape.js'
import { build } from './build.js'
import { checkEndpoint, type EndpointView } from './endpoint-checks.js'
import { checkAllowedIps, readHost } from './host-checks.js'
import { checkMiddlewares } from './middleware-checks.js'
import type { SandboxPolicy } from './model.js'
import { checkOverlap } from './overlap.js'
import { checkRules } from './rule-checks.js'
import { type DocumentFound, document, type EndpointFound, type NetworkRuleFound } from './schema.js'
import { checkStatic } from './static-checks.js'

export interface SandboxOptions {
  readonly profile: Profile
  readonly role: Role
}

export interface SandboxResult {
  /** Present exactly when no note is an error. */
  readonly policy?: SandboxPolicy
  readonly notes: readonly Note[]
}

const RESERVED_PREFIX = '_provider_'
const START: Spot = { line: 1, column: 1, path: '' }

/** One rule with its endpoints as they were judged. */
export interface RuleView {
  readonly key: string
  readonly at: Spot
  readonly found: NetworkRuleFound
  readonly endpoints: readonly EndpointView[]
}

export const parseSandboxPolicy = (bytes: Uint8Array, file: string, options: SandboxOptions): SandboxResult =>
  readSandboxPolicy(readYaml(bytes, file, { bytes: LIMITS.memberBytes, nodes: LIMITS.documentNodes }), file, options)

/** The same from a tree that was read already. */
export function readSandboxPolicy(yaml: YamlResult, file: string, options: SandboxOptions): SandboxResult {
  const findings = new Findings(file, options.profile)
  findings.adopt(yaml.notes)
  const root = yaml.root ?? yaml.repeated
  if (!root) return { notes: findings.list() }
  const read = document(root, { ...START, line: root.line, column: root.column }, findings)
  if (!read) return { notes: findings.list() }
  checkHeader(read, root.kind === 'map' ? root.entries.length : 0, findings)
  checkStatic(read, findings)
  const rules = (read.of.network_policies ?? []).map((rule) => viewRule(rule, options.role, findings))
  const endpoints = rules.flatMap((rule) => rule.endpoints)
  if (rules.length > LIMITS.sandboxRules || endpoints.length > LIMITS.sandboxEndpoints)
    findings.note(
      'too-many-rules',
      read.spot('network_policies'),
      `${rules.length} rules with ${endpoints.length} endpoints; the limits are ${LIMITS.sandboxRules} and ${LIMITS.sandboxEndpoints}`,
    )
  else checkOverlap(endpoints, findings)
  checkMiddlewares(read.of.network_middlewares ?? [], endpoints, findings)
  const notes = findings.list()
  return findings.failed ? { notes } : { policy: build(file, read, rules, findings), notes }
}

function checkHeader(read: DocumentFound, keys: number, findings: Findings): void {
  const known = [
    'version',
    'filesystem_policy',
    'landlock',
    'process',
    'network_policies',
    'network_middlewares',
    'preset',
  ] as const
  // A document of none of the schema's keys is another kind of document; its unknown keys say that better.
  if (!read.has('version') && (keys === 0 || known.some((key) => read.has(key))))
    findings.note('missing-version', read.at, 'version is required; write "version: 1" at the top')
  if (read.of.version !== undefined && read.of.version !== 1)
    findings.note(
      'bad-version',
      read.spot('version'),
      `version ${read.of.version} is not known; the schema has version 1`,
    )
  if (read.has('preset'))
    findings.note('preset-block', read.spot('preset'), 'the preset block is no part of the schema; delete it')
}

function viewRule({ key, at, value }: Named<NetworkRuleFound>, role: Role, findings: Findings): RuleView {
  if (role === 'authored' && key.startsWith(RESERVED_PREFIX))
    findings.note(
      'reserved-prefix',
      at,
      `${quote(key)}: rules named ${RESERVED_PREFIX}* are composed by a gateway; rename it, or check the file as an effective policy`,
    )
  const { endpoints, binaries } = value.of
  if (binaries === undefined ? !value.has('binaries') : binaries.length === 0)
    findings.note(
      'no-binaries',
      value.spot('binaries'),
      `${quote(key)} names no binaries, so it grants nothing; list who may use it`,
    )
  if (endpoints === undefined ? !value.has('endpoints') : endpoints.length === 0)
    findings.note('no-endpoints', value.spot('endpoints'), `${quote(key)} names no endpoints, so it grants nothing`)
  for (const binary of binaries ?? [])
    if (binary.has('harness'))
      findings.note('harness', binary.spot('harness'), 'harness is deprecated and ignored; delete it')
  return { key, at, found: value, endpoints: (endpoints ?? []).map((found) => viewEndpoint(found, findings)) }
}

function viewEndpoint(found: EndpointFound, findings: Findings): EndpointView {
  const { of } = found
  const view: EndpointView = {
    found,
    of,
    protocol: of.protocol ?? '',
    host: readHost(of.host, found.spot('host'), findings),
    ports: of.ports ?? (of.port === undefined ? [] : [of.port]),
  }
  if (of.tls === 'terminate' || of.tls === 'passthrough')
    findings.note(
      'legacy-tls',
      found.spot('tls'),
      `tls: ${of.tls} is a deprecated spelling of the default; delete the key`,
    )
  checkAllowedIps(of.allowed_ips ?? [], findings)
  checkEndpoint(view, findings)
  checkRules(view, findings)
  return view
}
