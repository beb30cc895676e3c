// What `rules` and `deny_rules` of one endpoint may say (sheet section 5). Upstream checks these in two validators that do
// not agree; both profiles refuse what either refuses. Only unknown methods are a warning there and here.

import { quote } from '../../base/quote.js'
import type { Findings } from '../findings.js'
import type { EndpointView } from './endpoint-checks.js'
import { MCP_VERSIONS, type RuleFound } from './schema.js'

const HTTP_METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
  'WEBSOCKET_TEXT',
  '*',
]
const OPERATION_TYPES = ['query', 'mutation', 'subscription']
const GRAPHQL_KEYS = ['operation_type', 'operation_name', 'fields'] as const
const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/

const isGlob = (text: string): boolean => /[*?[{]/.test(text)
const hasGraphql = (rule: RuleFound): boolean => GRAPHQL_KEYS.some((key) => rule.has(key))

/** Section 5: an allow with nothing, or with `query` alone, allows nothing. */
const isEmpty = (rule: RuleFound): boolean =>
  !(['method', 'path', 'command', 'tool', 'params', ...GRAPHQL_KEYS] as const).some((key) => rule.has(key))

export function checkRules(view: EndpointView, findings: Findings): void {
  const allows = (view.of.rules ?? []).flatMap((entry) => (entry.of.allow ? [entry.of.allow] : []))
  const denies = view.of.deny_rules ?? []
  // An entry whose allow is missing or unreadable has its own finding; it must not make the rest look empty.
  if (allows.length > 0 && allows.length === view.of.rules?.length && allows.every(isEmpty))
    findings.note(
      'rules-deny-all',
      view.found.spot('rules'),
      'every allow is empty (query alone counts as empty), so these rules deny everything; say what is allowed',
    )
  for (const rule of [...allows, ...denies]) checkRule(view, rule, findings)
  if (view.protocol === 'websocket') checkWebsocket(allows, findings)
  if (view.protocol === 'mcp') checkToolShadow(allows, findings)
  for (const { value, at } of view.of.mcp?.of.versions ?? [])
    if (!(MCP_VERSIONS as readonly string[]).includes(value))
      findings.note('mcp-version', at, `${quote(value)} is not a known mcp version; one of ${MCP_VERSIONS.join(', ')}`)
}

function checkRule(view: EndpointView, rule: RuleFound, findings: Findings): void {
  const { operation_type: type, method } = rule.of
  if (type !== undefined && !OPERATION_TYPES.includes(type))
    findings.note(
      'graphql-operation-type',
      rule.spot('operation_type'),
      `operation_type ${quote(type)} is not one of ${OPERATION_TYPES.join(', ')}`,
    )
  if (view.protocol === 'rest' || view.protocol === 'websocket') {
    if (method !== undefined && !HTTP_METHODS.includes(method.toUpperCase()))
      findings.note('unknown-method', rule.spot('method'), `${quote(method)} is not an HTTP method`)
  } else if (view.protocol === 'json-rpc') checkJsonRpc(rule, findings)
  else if (view.protocol === 'mcp') checkMcp(view, rule, findings)
}

function checkJsonRpc(rule: RuleFound, findings: Findings): void {
  for (const key of ['params', 'path', 'query', 'tool'] as const)
    if (rule.has(key)) findings.note('jsonrpc-fields', rule.spot(key), `a json-rpc rule takes method only, not ${key}`)
  const { method } = rule.of
  if (method !== undefined && method !== '*' && isGlob(method))
    findings.note(
      'jsonrpc-method',
      rule.spot('method'),
      `a json-rpc method is exact or "*"; ${quote(method)} is a glob`,
    )
}

function checkMcp(view: EndpointView, rule: RuleFound, findings: Findings): void {
  const strict = view.of.mcp?.of.strict_tool_names !== false
  const profile = view.of.mcp?.of.allow_all_known_mcp_methods === true
  const params = rule.of.params ?? []
  for (const entry of params)
    if (entry.key !== 'name')
      findings.note('mcp-params', entry.at, `mcp params accepts only "name", not ${quote(entry.key)}`)
  const named = params.find((entry) => entry.key === 'name')
  if (rule.has('tool') && named)
    findings.note('mcp-tool-and-name', rule.spot('tool'), 'tool and params.name say the same thing; keep one of them')
  const { method } = rule.of
  if ((rule.has('tool') || named) && method !== 'tools/call' && !(profile && !rule.has('method')))
    findings.note('mcp-tool-needs-method', rule.spot('tool'), 'a tool name needs method: tools/call beside it')
  if (method !== undefined && method !== '*' && isGlob(method) && !method.startsWith('tools/'))
    findings.note('mcp-method-glob', rule.spot('method'), `${quote(method)}: a method glob must start with "tools/"`)
  for (const glob of [...(rule.of.tool?.globs ?? []), ...(named?.value.globs ?? [])]) {
    if (isGlob(glob) && !strict)
      findings.note('mcp-wildcard-tool', rule.spot('tool'), `the wildcard ${quote(glob)} needs strict_tool_names: true`)
    if (!isGlob(glob) && strict && !TOOL_NAME.test(glob))
      findings.note(
        'mcp-tool-name',
        rule.spot('tool'),
        `${quote(glob)} is not a tool name (letters, digits, _ . -, at most 128)`,
      )
  }
}

function checkToolShadow(allows: readonly RuleFound[], findings: Findings): void {
  const single = allows.some((rule) => rule.has('tool') || rule.has('params'))
  for (const rule of allows) {
    const method = rule.of.method
    const all = method === 'tools/call' || method === 'tools/*' || method === '*'
    if (single && all && !rule.has('tool') && !rule.has('params'))
      findings.note(
        'mcp-tool-shadowed',
        rule.spot('method'),
        'this rule allows every tool, so the rules for single tools mean nothing; remove one of them',
      )
  }
}

function checkWebsocket(allows: readonly RuleFound[], findings: Findings): void {
  const graphql = allows.some(hasGraphql)
  for (const rule of allows) {
    if (hasGraphql(rule) && (rule.has('method') || rule.has('path') || rule.has('query')))
      findings.note('ws-graphql-mixed', rule.at, 'GraphQL keys and method, path or query do not go into one rule')
    else if (graphql && rule.of.method?.toUpperCase() === 'WEBSOCKET_TEXT')
      findings.note(
        'ws-graphql-text-rule',
        rule.spot('method'),
        'WEBSOCKET_TEXT admits every message, so the GraphQL rules beside it mean nothing; remove one of them',
      )
  }
}
