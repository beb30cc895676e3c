// Every code that a note about a policy document can carry, beside those of base/yaml.ts: how severe it is, and what it
// means. `strict` is an error in the strict profile and a warning in compat. `parse` marks what OpenShell's canonical parser
// refuses by itself (sheet section 1, validator P); the rest are rules about meaning (G, V, A) or ours.
//
// Codes are API: tests and the corpus assert them. The sheet is facts/openshell-policy.

import type { Severity } from '../base/note.js'
import type { Profile } from './model.js'

export interface CodeRow {
  readonly level: 'error' | 'strict' | 'warning' | 'info'
  readonly stage: 'parse' | 'meaning'
  readonly means: string
}

const row = (level: CodeRow['level'], stage: CodeRow['stage'], means: string): CodeRow => ({ level, stage, means })
const parse = (means: string): CodeRow => row('error', 'parse', means)
const refuse = (means: string): CodeRow => row('error', 'meaning', means)
const legacy = (means: string): CodeRow => row('strict', 'meaning', means)
const warn = (means: string): CodeRow => row('warning', 'meaning', means)

export const POLICY_CODES = {
  // Shape: both documents.
  'unknown-key': parse('a key that the schema does not have'),
  'missing-key': parse('a required key is absent'),
  'bad-type': parse('the value has another type than the schema says; nothing is converted'),
  'out-of-range': parse('a number outside what the key takes'),
  'port-range': parse('a port outside 1 to 65535'),
  'more-findings': parse('the list of findings was cut'),

  // SandboxPolicy, whole document (sections 2, 9, 12).
  'missing-version': parse('version is required'),
  'bad-version': refuse('version is not 1'),
  'preset-block': row('strict', 'parse', 'a top-level preset block, which another tool strips before use'),
  'reserved-prefix': refuse('a rule key starts with _provider_ in an authored policy'),
  'too-many-rules': refuse('more rules or endpoints than the limit'),
  'fs-path': refuse('a filesystem path is not absolute, has a .. component, or is too long'),
  'fs-too-many-paths': refuse('more than 256 filesystem paths'),
  'fs-root-writable': refuse('read_write names the root directory'),
  'unknown-compatibility': refuse('landlock.compatibility is not best_effort or hard_requirement'),
  identity: refuse('run_as_user or run_as_group is not sandbox or 1 to 4294967294'),

  // SandboxPolicy, rules and endpoints (sections 2, 3, 6, 8).
  harness: legacy('the deprecated key harness on a binary'),
  'bad-host': refuse('host is not a DNS name, a wildcard or an address'),
  'bad-wildcard': refuse('a wildcard in a place where it is not accepted, or too broad'),
  'trailing-dot': legacy('host ends with a dot'),
  'missing-host': refuse('no host and no allowed_ips'),
  'missing-port': refuse('no port'),
  'port-and-ports': refuse('port and ports together'),
  'unknown-protocol': refuse('protocol is not one of the schema'),
  'unknown-tls': refuse('tls is not one of the schema'),
  'unknown-enforcement': refuse('enforcement is not one of the schema'),
  'unknown-access': refuse('access is not one of the schema'),
  'unknown-persisted-queries': refuse('persisted_queries is not one of the schema'),
  'unknown-credential-signing': refuse('credential_signing is not one of the schema'),
  'legacy-tls': legacy('tls: terminate or passthrough, deprecated spellings of the default'),
  sql: legacy('protocol: sql, which only ever audits'),
  'sql-enforce': refuse('protocol: sql cannot be enforced'),
  'endpoint-path': refuse('path does not start with / and is not **'),
  'allowed-ips-syntax': refuse('an allowed_ips entry is not an address or a prefix'),
  'allowed-ips-always-blocked': legacy('an allowed_ips entry reaches into addresses that are always blocked'),
  'always-blocked-host': legacy('host is a name or address that is always blocked'),
  'tcp-missing-host': refuse('protocol: tcp needs a DNS host'),
  'tcp-ip-literal': refuse('protocol: tcp takes a DNS host, not an address'),
  'tcp-trailing-dot': refuse('protocol: tcp takes no trailing dot'),
  'tcp-l7-fields': refuse('protocol: tcp takes no L7 or credential keys'),
  'l7-fields-without-protocol': legacy('rules, access or enforcement without protocol do nothing'),

  // SandboxPolicy, L7 rules (sections 3 and 5).
  'rules-and-access': refuse('rules and access together'),
  'needs-rules-or-access': refuse('an inspected protocol needs rules or access'),
  'empty-rules': refuse('rules: [] or deny_rules: []'),
  'rules-deny-all': refuse('every allow is empty, so the rules deny everything'),
  'deny-needs-protocol': refuse('deny_rules need an inspected protocol'),
  'deny-needs-base': refuse('deny_rules need rules or access to subtract from'),
  'empty-fields': refuse('fields: []'),
  'empty-any': refuse('any: []'),
  'jsonrpc-access-preset': refuse('json-rpc takes no access preset'),
  'jsonrpc-needs-rules': refuse('json-rpc needs rules'),
  'jsonrpc-fields': refuse('a json-rpc rule takes method only'),
  'jsonrpc-method': refuse('a json-rpc method is exact or *'),
  'mcp-access-preset': refuse('mcp takes no access preset'),
  'mcp-needs-rules': refuse('mcp needs rules or allow_all_known_mcp_methods'),
  'mcp-missing-host': refuse('protocol: mcp needs a host'),
  'mcp-options': refuse('strict_tool_names and allow_all_known_mcp_methods are for protocol: mcp'),
  'mcp-params': refuse('mcp params accepts only name'),
  'mcp-tool-and-name': refuse('tool and params.name together'),
  'mcp-tool-needs-method': refuse('tool needs method: tools/call'),
  'mcp-method-glob': refuse('an mcp method takes a glob only within tools/'),
  'mcp-wildcard-tool': refuse('a wildcard tool name needs strict_tool_names'),
  'mcp-tool-name': refuse('a tool name outside the accepted characters'),
  'mcp-tool-shadowed': refuse('a rule for all of tools/call beside rules for single tools'),
  'mcp-version': refuse('not a known mcp version'),
  'graphql-operation-type': refuse('operation_type is not query, mutation or subscription'),
  'ws-graphql-text-rule': refuse('a WEBSOCKET_TEXT rule beside GraphQL rules'),
  'ws-graphql-mixed': refuse('GraphQL fields mixed with method, path or query in one rule'),
  'body-limit': refuse('a body limit of 0'),
  'ws-rewrite-protocol': refuse('websocket_credential_rewrite is for rest and websocket'),
  'body-rewrite-protocol': refuse('request_body_credential_rewrite is for rest'),
  'signing-needs-service': refuse('credential_signing needs signing_service'),
  'signing-with-body-rewrite': refuse('credential_signing and request_body_credential_rewrite together'),

  // SandboxPolicy, middleware and overlap (sections 5 and 7).
  'middleware-limit': refuse('more than 10 middlewares'),
  'middleware-on-error': refuse('on_error is not fail_closed or fail_open'),
  'middleware-order': refuse('two middlewares with one order'),
  'middleware-selector': refuse('endpoints.include is absent, empty or too long'),
  'middleware-pattern': refuse('a host pattern of a selector is malformed'),
  'middleware-unknown': refuse('no built-in middleware has this name'),
  'middleware-config': refuse('a configuration that the built-in does not take'),
  'middleware-tls-skip': refuse('a fail_closed middleware selects an endpoint with tls: skip'),
  'ambiguous-overlap': refuse('two endpoints that can match one connection disagree'),
  'overlap-budget': refuse('too many overlapping endpoints to compare'),

  // SandboxPolicy, accepted and worth saying (section 12).
  'enforcement-defaults-audit': warn('an inspected endpoint without enforcement only audits'),
  'no-binaries': warn('a rule without binaries grants nothing'),
  'no-endpoints': warn('a rule without endpoints grants nothing'),
  'wildcard-host': warn('a wildcard host'),
  hostless: warn('allowed_ips without a host admits any name'),
  'allowed-ips-broad': warn('an allowed_ips prefix shorter than /16'),
  'l4-overlaps-l7': warn('a plain endpoint stands beside inspected ones for one host and port'),
  'tls-skip-with-l7': warn('tls: skip keeps L7 rules from seeing anything'),
  'unknown-method': warn('not an HTTP method'),
  'allowed-ips-excludes-host': warn('the host is an address outside allowed_ips, so nothing is granted'),
  'allowed-ips-host-bits': row('info', 'meaning', 'bits set beyond the prefix length are ignored'),

  // FencePolicy.
  'bad-value': refuse('a value that the key does not take'),
  'bad-format': refuse('text that is not in the form that the key takes'),
  'empty-list': refuse('an empty list or mapping'),
  'duplicate-name': refuse('two entries with one name'),
  'duplicate-value': refuse('a value stands twice'),
  'hosts-or-cidrs': refuse('an egress entry takes hosts or cidrs, one of the two'),
  'host-is-address': refuse('an address where a name belongs; use cidrs'),
  'bad-cidr': refuse('not an address or a prefix'),
  'host-bits': refuse('a prefix with bits set beyond its length'),
  'never-address': refuse('an address that nothing may open'),
  'bad-ports': refuse('not a port or a range of ports'),
  'missing-ports': refuse('tcp and udp need ports'),
  'icmp-ports': refuse('icmp-echo takes no ports'),
  'icmp-hosts': refuse('icmp-echo takes cidrs only'),
  'allowed-ips-without-hosts': refuse('allowed_ips narrows hosts; there are none'),
  'bad-pin': refuse('a pin is not a name with addresses'),
  'unused-pin': warn('no clause uses this pin'),
  'unused-delegate': warn('no clause needs this dimension to be delegated'),
  'bad-time': refuse('not an RFC 3339 time'),
  'bad-workspace': refuse('not a workspace id'),
  'bad-path': refuse('not a path that can be used here'),
  'bad-digest': refuse('not a digest'),

  // The set of documents in a bundle.
  'unknown-kind': refuse('a kind of document that is not evaluated'),
  'unnamed-member': refuse('a document that no FencePolicy names'),
  'missing-member': refuse('a FencePolicy names a member that is not there'),
  'applies-twice': refuse('two FencePolicies with the same name or the same workspace entry'),
} as const satisfies Readonly<Record<string, CodeRow>>

export type PolicyCode = keyof typeof POLICY_CODES

/** Severity of a code in a profile. */
export function severityOf(code: PolicyCode, profile: Profile): Severity {
  const { level } = POLICY_CODES[code]
  if (level === 'strict') return profile === 'strict' ? 'error' : 'warning'
  return level
}
