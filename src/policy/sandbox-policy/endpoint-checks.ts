// What the keys of one endpoint may not say together (sheet sections 3, 4, 6, 8, 12): a table of rows, each a code, the key
// it stands at, when it holds and what to do. Codes decide the severity (codes.ts); the order of rows means nothing.

import { quote } from '../../base/quote.js'
import type { PolicyCode } from '../codes.js'
import type { Findings } from '../findings.js'
import { type Host, isBlockedHost } from '../host-pattern.js'
import { badAllowedIps, excludesAddress } from './host-checks.js'
import type { EndpointFound } from './schema.js'

type Key = Parameters<EndpointFound['spot']>[0]

export interface EndpointView {
  readonly found: EndpointFound
  readonly of: EndpointFound['of']
  /** '' when the key is absent. */
  readonly protocol: string
  readonly host: Host
  /** Effective ports; empty when none could be read. */
  readonly ports: readonly number[]
}

interface Row {
  readonly code: PolicyCode
  /** The key that the finding stands at; where that is absent, the endpoint. */
  readonly at: Key | ((e: EndpointView) => Key)
  readonly when: (e: EndpointView) => boolean
  readonly say: string | ((e: EndpointView) => string)
}

const has = (e: EndpointView, ...keys: readonly Key[]): boolean => keys.some((key) => e.found.has(key))
const isOneOf = (e: EndpointView, ...protocols: readonly string[]): boolean => protocols.includes(e.protocol)
/** A protocol whose requests the supervisor reads. */
export const isInspected = (protocol: string): boolean => protocol !== '' && protocol !== 'tcp'

/** Keys that say something and do nothing without `protocol` (trap 2). `path` is not one: it also selects the endpoint. */
export const DEAD_WITHOUT_PROTOCOL = [
  'rules',
  'access',
  'enforcement',
  'persisted_queries',
  'graphql_persisted_queries',
  'graphql_max_body_bytes',
  'json_rpc',
  'mcp',
  'allow_encoded_slash',
] as const satisfies readonly Key[]

/** Native TCP takes none of these (section 3). */
const NOT_FOR_TCP = [
  ...DEAD_WITHOUT_PROTOCOL,
  'path',
  'deny_rules',
  'websocket_credential_rewrite',
  'request_body_credential_rewrite',
  'credential_signing',
  'signing_service',
  'signing_region',
  'credential_binding',
  'allow_uninspected_credentials',
] as const satisfies readonly Key[]

/** The first of the keys that is there; the rows that ask know that one is. */
const first = (e: EndpointView, keys: readonly Key[]): Key => keys.find((key) => e.found.has(key)) ?? 'host'

const excludesHost = (e: EndpointView): boolean =>
  e.host.kind === 'address' && excludesAddress(e.of.allowed_ips, e.host.ip)

/** Hold whatever the protocol is. */
const ALWAYS: readonly Row[] = [
  {
    code: 'missing-port',
    at: 'host',
    when: (e) => e.ports.length === 0 && !has(e, 'port', 'ports'),
    say: 'the endpoint has no port; add port or ports',
  },
  {
    code: 'missing-port',
    at: 'ports',
    when: (e) => e.of.ports?.length === 0 && e.found.has('ports') && !has(e, 'port'),
    say: 'ports is empty; list at least one',
  },
  {
    code: 'port-and-ports',
    at: 'port',
    when: (e) => has(e, 'port') && has(e, 'ports'),
    say: 'port and ports together: one would silently win; keep one of them',
  },
  {
    code: 'rules-and-access',
    at: 'access',
    when: (e) => has(e, 'rules') && has(e, 'access') && e.of.access !== '',
    say: 'rules and access together; keep one of them',
  },
  {
    code: 'empty-rules',
    at: 'rules',
    when: (e) => e.of.rules?.length === 0,
    say: 'rules: [] says nothing upstream after conversion; leave the key out or list rules',
  },
  {
    code: 'empty-rules',
    at: 'deny_rules',
    when: (e) => e.of.deny_rules?.length === 0,
    say: 'deny_rules: [] denies nothing; leave the key out or list rules',
  },
  {
    code: 'endpoint-path',
    at: 'path',
    when: (e) => (e.of.path ?? '') !== '' && e.of.path !== '**' && !e.of.path?.startsWith('/'),
    say: (e) => `path ${quote(e.of.path ?? '')} must start with "/" or be "**"`,
  },
  {
    code: 'endpoint-path',
    at: 'path',
    when: (e) => (e.of.path ?? '').length > 2_048,
    say: 'path is longer than 2048 characters',
  },
  {
    code: 'body-limit',
    at: 'graphql_max_body_bytes',
    when: (e) => e.of.graphql_max_body_bytes === 0,
    say: 'a body limit of 0 admits no request; write the number of octets',
  },
  {
    code: 'body-limit',
    at: 'json_rpc',
    when: (e) => e.of.json_rpc?.of.max_body_bytes === 0,
    say: 'a body limit of 0 admits no request; write the number of octets',
  },
  {
    code: 'body-limit',
    at: 'mcp',
    when: (e) => e.of.mcp?.of.max_body_bytes === 0,
    say: 'a body limit of 0 admits no request; write the number of octets',
  },
  {
    code: 'signing-needs-service',
    at: 'credential_signing',
    when: (e) =>
      (e.of.credential_signing ?? '') !== '' && (e.of.signing_service ?? '') === '' && !unread(e, 'signing_service'),
    say: 'credential_signing needs signing_service, such as s3',
  },
  {
    code: 'signing-with-body-rewrite',
    at: 'credential_signing',
    when: (e) => (e.of.credential_signing ?? '') !== '' && e.of.request_body_credential_rewrite === true,
    say: 'credential_signing and request_body_credential_rewrite together; keep one of them',
  },
  {
    code: 'allowed-ips-broad',
    at: 'allowed_ips',
    when: (e) => badAllowedIps(e.of.allowed_ips, 'broad').length > 0,
    say: (e) => `${badAllowedIps(e.of.allowed_ips, 'broad').join(', ')}: shorter than /16`,
  },
  {
    code: 'allowed-ips-always-blocked',
    at: 'allowed_ips',
    when: (e) => badAllowedIps(e.of.allowed_ips, 'blocked').length > 0,
    say: (e) =>
      `${badAllowedIps(e.of.allowed_ips, 'blocked').join(', ')}: reaches loopback, link-local or other addresses that are always blocked, so every connection would be denied`,
  },
  {
    code: 'allowed-ips-excludes-host',
    at: 'host',
    when: (e) => excludesHost(e),
    say: (e) => `${quote(e.of.host ?? '')} lies outside allowed_ips, so the endpoint grants nothing`,
  },
  {
    code: 'always-blocked-host',
    at: 'host',
    when: (e) => isBlockedHost(e.host),
    say: (e) => `${quote(e.of.host ?? '')} is always blocked, so the endpoint would grant nothing; remove it`,
  },
]

/** A key is there and its value could not be read: that finding stands already. */
const unread = (e: EndpointView, key: Key): boolean => e.found.has(key) && e.of[key] === undefined

/** Hold for what `protocol` says; left out when its value could not be read. */
const BY_PROTOCOL: readonly Row[] = [
  {
    code: 'tcp-missing-host',
    at: 'host',
    when: (e) => e.protocol === 'tcp' && e.host.kind === 'empty' && !unread(e, 'host'),
    say: 'protocol: tcp needs a DNS host; allowed_ips alone is not enough',
  },
  {
    code: 'tcp-ip-literal',
    at: 'host',
    when: (e) => e.protocol === 'tcp' && e.host.kind === 'address',
    say: 'protocol: tcp takes a DNS host, not an address; leave protocol out for an address',
  },
  {
    code: 'tcp-trailing-dot',
    at: 'host',
    when: (e) => e.protocol === 'tcp' && 'trailingDot' in e.host && e.host.trailingDot,
    say: 'protocol: tcp takes no trailing dot; remove it',
  },
  {
    code: 'trailing-dot',
    at: 'host',
    when: (e) => e.protocol !== 'tcp' && 'trailingDot' in e.host && e.host.trailingDot,
    say: 'the trailing dot keeps the name from matching; remove it',
  },
  {
    code: 'tcp-l7-fields',
    at: (e) => first(e, NOT_FOR_TCP),
    when: (e) => e.protocol === 'tcp' && has(e, ...NOT_FOR_TCP),
    say: (e) =>
      `protocol: tcp routes connections only and takes no ${first(e, NOT_FOR_TCP)}; remove the key or the protocol`,
  },
  {
    code: 'mcp-missing-host',
    at: 'host',
    when: (e) => e.protocol === 'mcp' && e.host.kind === 'empty' && !unread(e, 'host'),
    say: 'protocol: mcp needs a host',
  },
  {
    code: 'missing-host',
    at: 'host',
    when: (e) =>
      !isOneOf(e, 'tcp', 'mcp') &&
      e.host.kind === 'empty' &&
      !unread(e, 'host') &&
      (e.of.allowed_ips ?? []).length === 0 &&
      !unread(e, 'allowed_ips'),
    say: 'the endpoint has neither host nor allowed_ips; add a host',
  },
  {
    code: 'hostless',
    at: 'allowed_ips',
    when: (e) => !isOneOf(e, 'tcp', 'mcp') && e.host.kind === 'empty' && (e.of.allowed_ips ?? []).length > 0,
    say: 'no host: any name is admitted whose address lies in allowed_ips',
  },
  {
    code: 'l7-fields-without-protocol',
    at: (e) => first(e, DEAD_WITHOUT_PROTOCOL),
    when: (e) => e.protocol === '' && has(e, ...DEAD_WITHOUT_PROTOCOL),
    say: (e) =>
      `${first(e, DEAD_WITHOUT_PROTOCOL)} does nothing without protocol: the endpoint is plain TCP; add protocol (rest, websocket, graphql, json-rpc or mcp) or remove the key`,
  },
  {
    code: 'sql',
    at: 'protocol',
    when: (e) => e.protocol === 'sql',
    say: 'protocol: sql only audits and is gone from newer schemas; leave protocol out',
  },
  {
    code: 'sql-enforce',
    at: 'enforcement',
    when: (e) => e.protocol === 'sql' && e.of.enforcement === 'enforce',
    say: 'protocol: sql cannot be enforced',
  },
  {
    code: 'needs-rules-or-access',
    at: 'protocol',
    when: (e) =>
      isOneOf(e, 'rest', 'websocket', 'graphql', 'sql') &&
      !has(e, 'rules') &&
      (!has(e, 'access') || e.of.access === ''),
    say: (e) => `protocol: ${e.protocol} needs rules or access`,
  },
  {
    code: 'deny-needs-protocol',
    at: 'deny_rules',
    when: (e) => e.protocol === '' && has(e, 'deny_rules'),
    say: 'deny_rules do nothing without an inspected protocol; add protocol',
  },
  {
    code: 'deny-needs-base',
    at: 'deny_rules',
    when: (e) => !isOneOf(e, 'mcp', 'tcp') && (e.of.deny_rules?.length ?? 0) > 0 && !has(e, 'rules', 'access'),
    say: 'deny_rules need rules or access to subtract from',
  },
  {
    code: 'jsonrpc-access-preset',
    at: 'access',
    when: (e) => e.protocol === 'json-rpc' && has(e, 'access'),
    say: 'json-rpc takes no access preset; write rules',
  },
  {
    code: 'mcp-access-preset',
    at: 'access',
    when: (e) => e.protocol === 'mcp' && has(e, 'access'),
    say: 'mcp takes no access preset; write rules',
  },
  {
    code: 'jsonrpc-needs-rules',
    at: 'protocol',
    when: (e) => e.protocol === 'json-rpc' && !has(e, 'rules'),
    say: 'protocol: json-rpc needs rules',
  },
  {
    code: 'mcp-needs-rules',
    at: 'protocol',
    when: (e) => e.protocol === 'mcp' && !has(e, 'rules') && e.of.mcp?.of.allow_all_known_mcp_methods !== true,
    say: 'protocol: mcp needs rules, or mcp: {allow_all_known_mcp_methods: true}',
  },
  {
    code: 'mcp-options',
    at: 'mcp',
    when: (e) =>
      !isOneOf(e, 'mcp', 'tcp', '') &&
      (e.of.mcp?.has('strict_tool_names') === true || e.of.mcp?.has('allow_all_known_mcp_methods') === true),
    say: 'strict_tool_names and allow_all_known_mcp_methods are for protocol: mcp',
  },
  {
    code: 'ws-rewrite-protocol',
    at: 'websocket_credential_rewrite',
    when: (e) => !isOneOf(e, 'rest', 'websocket', 'tcp') && e.of.websocket_credential_rewrite === true,
    say: 'websocket_credential_rewrite is for protocol: rest or websocket',
  },
  {
    code: 'body-rewrite-protocol',
    at: 'request_body_credential_rewrite',
    when: (e) => !isOneOf(e, 'rest', 'tcp') && e.of.request_body_credential_rewrite === true,
    say: 'request_body_credential_rewrite is for protocol: rest',
  },
  {
    code: 'enforcement-defaults-audit',
    at: 'protocol',
    when: (e) => isInspected(e.protocol) && e.protocol !== 'sql' && !has(e, 'enforcement'),
    say: 'without enforcement: enforce the runtime only logs what the rules forbid',
  },
  {
    code: 'tls-skip-with-l7',
    at: 'tls',
    when: (e) => isInspected(e.protocol) && e.of.tls === 'skip' && e.ports.includes(443),
    say: 'tls: skip leaves the stream encrypted, so the rules see nothing on port 443',
  },
]

export function checkEndpoint(view: EndpointView, findings: Findings): void {
  const rows = unread(view, 'protocol') ? ALWAYS : [...ALWAYS, ...BY_PROTOCOL]
  for (const { code, at, when, say } of rows)
    if (when(view))
      findings.note(
        code,
        view.found.spot(typeof at === 'string' ? at : at(view)),
        typeof say === 'string' ? say : say(view),
      )
}
