// What one inspected endpoint says about requests, in canonical form: access presets written out as the rules that they stand
// for (sheet section 4), methods in upper case, `params.name` as the tool that it is. Runs on checked documents only, so
// nothing is judged here; what the rules mean is `decide`'s.

import type { EndpointView } from './endpoint-checks.js'
import type { Globs, RegisteredQuery, RequestRule, RequestTerms } from './model.js'
import type { RuleFound } from './schema.js'

/** Protocols whose requests are read. `sql` has no reader upstream and counts as plain TCP (section 12). */
const READ = ['rest', 'websocket', 'graphql', 'json-rpc', 'mcp'] as const

export function requestTerms(view: EndpointView): RequestTerms | undefined {
  const { of, protocol } = view
  if (!(READ as readonly string[]).includes(protocol)) return undefined
  const isRpc = protocol === 'json-rpc' || protocol === 'mcp'
  const allKnownMethods = of.mcp?.of.allow_all_known_mcp_methods ?? false
  const rule = (found: RuleFound): RequestRule => readRule(found, isRpc, allKnownMethods)
  return {
    path: of.path === undefined || of.path === '**' ? '' : of.path,
    enforce: of.enforcement === 'enforce',
    allow: [
      ...(of.rules ?? []).flatMap((entry) => (entry.of.allow ? [rule(entry.of.allow)] : [])),
      ...preset(of.access ?? '', protocol, view.found.spot('access').path),
    ],
    deny: (of.deny_rules ?? []).map(rule),
    encodedSlash: of.allow_encoded_slash ?? false,
    registered: of.persisted_queries === 'allow_registered' ? registered(view) : [],
    strictToolNames: of.mcp?.of.strict_tool_names ?? true,
    allKnownMethods,
  }
}

function readRule(found: RuleFound, isRpc: boolean, profile: boolean): RequestRule {
  const { method, path, query, operation_type: type, operation_name: name, fields, tool, params } = found.of
  const named = params?.find(({ key }) => key === 'name')?.value.globs
  const tools = tool?.globs ?? named
  // Under the method profile a rule about a tool need not spell its method (section 5).
  const said = method ?? (profile && tools ? 'tools/call' : undefined)
  return {
    path: found.at.path,
    ...(said === undefined ? {} : { method: isRpc ? said : said.toUpperCase() }),
    ...(path === undefined ? {} : { pathGlob: path }),
    query: (query ?? []).map(({ key, value }) => ({ key, globs: value.globs })),
    ...(type === undefined ? {} : { operationType: type.toLowerCase() }),
    ...(name === undefined || name === '' ? {} : { operationName: name }),
    fields: fields ?? [],
    ...(tools === undefined ? {} : { tool: tools }),
  }
}

const READ_ONLY = ['GET', 'HEAD', 'OPTIONS']
const READ_WRITE = [...READ_ONLY, 'POST', 'PUT', 'PATCH']
/** Section 4, a row a protocol; `full` is `*` for all of them. */
const METHODS: Readonly<Record<string, Readonly<Record<string, Globs>>>> = {
  rest: { 'read-only': READ_ONLY, 'read-write': READ_WRITE },
  websocket: { 'read-only': ['GET'], 'read-write': ['GET', 'WEBSOCKET_TEXT'] },
  graphql: { 'read-only': ['query'], 'read-write': ['query', 'mutation'] },
}

function preset(access: string, protocol: string, path: string): RequestRule[] {
  if (access === '') return []
  const words = access === 'full' ? ['*'] : (METHODS[protocol]?.[access] ?? [])
  return words.map((word) =>
    protocol === 'graphql'
      ? { path, query: [], fields: [], operationType: word }
      : { path, query: [], fields: [], method: word, pathGlob: '**' },
  )
}

const registered = (view: EndpointView): RegisteredQuery[] =>
  (view.of.graphql_persisted_queries ?? []).map(({ key, value }) => ({
    id: key,
    operationType: (value.of.operation_type ?? '').toLowerCase(),
    operationName: value.of.operation_name ?? '',
    fields: value.of.fields ?? [],
  }))
