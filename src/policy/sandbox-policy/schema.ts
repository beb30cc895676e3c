// The keys of OpenShell's SandboxPolicy, object by object (sheet sections 2, 3 and 5): which exist, and how each value is
// read. Rules between keys are elsewhere (endpoint-checks.ts, rule-checks.ts, static-checks.ts); here is only what one key
// takes. A key that is not in these tables is refused wherever it stands.

import { anything, flag, integer, listOf, located, mapOf, object, type Read, text, word } from '../shape.js'

const U32 = 0xffffffff
const port = integer(1, 65535, 'port-range')
/** The sheet gives 1 as the least (section 3); 0 is caught as a limit of its own, since upstream's parser lets it pass. */
const bodyBytes = integer(0, U32)

/** A glob, or `{any: [glob, ...]}`. */
export const matcher: Read<{ readonly globs: readonly string[]; readonly any: boolean }> = (node, spot, findings) => {
  if (node.kind !== 'map') {
    const glob = text(node, spot, findings)
    return glob === undefined ? undefined : { globs: [glob], any: false }
  }
  const read = object({ any: listOf(text) }, { what: 'a matcher', required: ['any'] })(node, spot, findings)
  const globs = read?.of.any
  if (!read || !globs) return undefined
  if (globs.length === 0 && read.has('any'))
    findings.note('empty-any', read.spot('any'), 'any: [] matches nothing; list at least one glob')
  return { globs, any: true }
}

const fields: Read<readonly string[]> = (node, spot, findings) => {
  const read = listOf(text)(node, spot, findings)
  if (read?.length === 0) findings.note('empty-fields', spot, 'fields: [] matches nothing; leave it out or list fields')
  return read
}

const RULE = {
  method: text,
  path: text,
  command: text,
  query: mapOf(matcher),
  operation_type: text,
  operation_name: text,
  fields,
  tool: matcher,
  params: mapOf(matcher),
}
const rule = object(RULE, {
  what: 'a rule',
  hints: { allow: 'deny rules carry their keys directly, without allow' },
})
const allow = object(
  { allow: rule },
  {
    what: 'an entry of rules',
    required: ['allow'],
    hints: Object.fromEntries(Object.keys(RULE).map((key) => [key, `put it under allow: {${key}: ...}`])),
  },
)
export type RuleFound = NonNullable<ReturnType<typeof rule>>
export type AllowFound = NonNullable<ReturnType<typeof allow>>

const persistedQuery = object({ operation_type: text, operation_name: text, fields }, { what: 'a registered query' })

export const PROTOCOLS = ['tcp', 'rest', 'websocket', 'graphql', 'sql', 'json-rpc', 'mcp'] as const
export const TLS = ['skip', 'terminate', 'passthrough'] as const
export const ACCESS = ['read-only', 'read-write', 'full'] as const
export const MCP_VERSIONS = ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'] as const

export const endpoint = object(
  {
    host: text,
    port,
    ports: listOf(port),
    path: text,
    protocol: word(PROTOCOLS, 'unknown-protocol', 'protocol'),
    tls: word(TLS, 'unknown-tls', 'tls'),
    enforcement: word(['audit', 'enforce'], 'unknown-enforcement', 'enforcement'),
    access: word(ACCESS, 'unknown-access', 'access'),
    rules: listOf(allow),
    deny_rules: listOf(rule),
    allowed_ips: listOf(located),
    allow_encoded_slash: flag,
    persisted_queries: word(['deny', 'allow_registered'], 'unknown-persisted-queries', 'persisted_queries'),
    graphql_persisted_queries: mapOf(persistedQuery),
    graphql_max_body_bytes: bodyBytes,
    websocket_credential_rewrite: flag,
    request_body_credential_rewrite: flag,
    credential_signing: word(
      ['sigv4', 'sigv4:body', 'sigv4:no_body'],
      'unknown-credential-signing',
      'credential_signing',
    ),
    signing_service: text,
    signing_region: text,
    json_rpc: object({ max_body_bytes: bodyBytes }, { what: 'json_rpc' }),
    mcp: object(
      {
        max_body_bytes: bodyBytes,
        strict_tool_names: flag,
        allow_all_known_mcp_methods: flag,
        versions: listOf(located),
      },
      { what: 'mcp' },
    ),
    credential_binding: object({ provider: text }, { what: 'credential_binding', required: ['provider'] }),
    allow_uninspected_credentials: flag,
  },
  {
    what: 'an endpoint',
    hints: {
      binaries: 'binaries belong to the rule, beside endpoints',
      middleware: 'middleware is configured under network_middlewares at the top',
      json_rpc_max_body_bytes: 'write json_rpc: {max_body_bytes: ...}',
    },
  },
)
export type EndpointFound = NonNullable<ReturnType<typeof endpoint>>

const binary = object(
  { path: text, harness: flag },
  { what: 'a binary', required: ['path'], hints: { name: 'a binary has a path only' } },
)

const rulesHints = Object.fromEntries(
  ['host', 'port', 'ports', 'protocol', 'tls', 'access', 'rules', 'enforcement', 'allowed_ips'].map((key) => [
    key,
    'it belongs to an entry of endpoints',
  ]),
)
export const networkRule = object(
  { name: text, endpoints: listOf(endpoint), binaries: listOf(binary) },
  {
    what: 'a network policy',
    hints: { ...rulesHints, middleware: 'middleware is configured under network_middlewares at the top' },
  },
)
export type NetworkRuleFound = NonNullable<ReturnType<typeof networkRule>>

export const middleware = object(
  {
    name: text,
    middleware: text,
    order: integer(-0x80000000, 0x7fffffff),
    config: anything,
    on_error: word(['fail_closed', 'fail_open'], 'middleware-on-error', 'on_error'),
    endpoints: object({ include: listOf(located), exclude: listOf(located) }, { what: 'a selector' }),
  },
  { what: 'a middleware', required: ['middleware'] },
)
export type MiddlewareFound = NonNullable<ReturnType<typeof middleware>>

export const document = object(
  {
    version: integer(0, U32),
    preset: anything,
    filesystem_policy: object(
      { include_workdir: flag, read_only: listOf(located), read_write: listOf(located) },
      { what: 'filesystem_policy' },
    ),
    landlock: object(
      {
        compatibility: word(['best_effort', 'hard_requirement'], 'unknown-compatibility', 'compatibility'),
      },
      { what: 'landlock' },
    ),
    process: object({ run_as_user: located, run_as_group: located }, { what: 'process' }),
    network_policies: mapOf(networkRule),
    network_middlewares: mapOf(middleware),
  },
  {
    what: 'a SandboxPolicy',
    hints: {
      filesystem: 'in YAML the key is "filesystem_policy"',
      inference: 'the schema has no inference section any more; delete it',
      kind: 'a SandboxPolicy carries no kind',
      apiVersion: 'a SandboxPolicy carries no apiVersion',
      endpoints: 'endpoints belong to a rule under network_policies',
      binaries: 'binaries belong to a rule under network_policies',
    },
  },
)
export type DocumentFound = NonNullable<ReturnType<typeof document>>
