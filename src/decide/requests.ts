// What the rules of one inspected endpoint say about one request (sheet sections 4, 5 and 7): does some allow rule admit it,
// does some deny rule hit it. Compiled once; rules with a plain path are found by that path, the others one after another.
//
// What the sheet leaves open is read narrowly. A deny rule whose glob is malformed, or that has no path, denies as if that part
// were not there; an allow rule with such a part allows nothing.

import { canonicalize } from '../base/canonical.js'
import { digestOfText } from '../base/digest.js'
import type { ClauseId } from '../policy/model.js'
import type {
  Globs,
  RegisteredQuery,
  RequestRule,
  RequestTerms,
  SandboxEndpoint,
} from '../policy/sandbox-policy/model.js'
import { type Glob, opaGlob, routeGlob } from './glob.js'
import { isKnownMethod } from './mcp-methods.js'
import { allowed, type ClausePlace, type Decision, denied, type GraphqlOperation, type RequestAction } from './model.js'

interface Rule {
  readonly answer: Decision
  readonly method: string | undefined
  readonly path: (path: string) => boolean
  readonly query: readonly { readonly key: string; readonly any: readonly Glob[] }[]
  readonly operation: string | undefined
  readonly name: Glob | undefined
  readonly fields: readonly Glob[]
  readonly rpcMethod: (method: string) => boolean
  readonly tool: readonly Glob[] | undefined
}

/** Rules of one side: those of one plain path behind that path. */
interface Rules {
  readonly plain: ReadonlyMap<string, readonly Rule[]>
  readonly others: readonly Rule[]
  readonly all: readonly Rule[]
}

export interface Requests {
  readonly protocol: string
  readonly at: ClausePlace
  readonly enforce: boolean
  readonly encodedSlash: boolean
  /** Which endpoint's settings apply is decided by this and the specificity, which requests pass by both dialects (section 6). */
  readonly route: Glob
  readonly authorized: (path: string) => boolean
  readonly specificity: number
  readonly allow: Rules
  readonly deny: Rules
  readonly registered: ReadonlyMap<string, RegisteredQuery>
  readonly strictToolNames: boolean
  /** The mcp method profile, which admits tools/call only where no rule is about a single tool. */
  readonly profile: Decision | undefined
  readonly narrowsTools: boolean
  /** The answer where no rule fits, made once. */
  readonly noRule: Decision
}

const FORMAT = 'sluice-request-clause/1'

export function compileRequests(
  clause: ClauseId,
  place: string,
  { protocol, origin }: SandboxEndpoint,
  terms: RequestTerms,
): Requests {
  const at = { clause, place }
  const isRpc = protocol === 'json-rpc' || protocol === 'mcp'
  const rules = (side: 'allow' | 'deny'): Rules => {
    const all = terms[side].map((rule) =>
      compileRule(rule, side, clauseOf(rule, side, terms, clause, origin.file), isRpc, protocol),
    )
    const plain = new Map<string, Rule[]>()
    const others: Rule[] = []
    for (const [i, rule] of all.entries()) {
      const path = terms[side][i]?.pathGlob
      if (path === undefined || /[*?[\]{}\\]/.test(path)) others.push(rule)
      else plain.set(path, [...(plain.get(path) ?? []), rule])
    }
    return { plain, others, all }
  }
  const authorization = terms.path === '' ? undefined : opaGlob(terms.path, '/')
  return {
    protocol,
    at,
    enforce: terms.enforce,
    encodedSlash: terms.encodedSlash,
    route: routeGlob(terms.path),
    authorized: (path) => authorization?.matches(path) ?? true,
    specificity: terms.path.replaceAll('*', '').length,
    allow: rules('allow'),
    deny: rules('deny'),
    registered: new Map(terms.registered.map((query) => [query.id, query])),
    strictToolNames: terms.strictToolNames,
    profile: terms.allKnownMethods ? allowed('rule', at) : undefined,
    narrowsTools: terms.allow.some((rule) => rule.tool !== undefined),
    noRule: denied('no-request-rule', at),
  }
}

function clauseOf(rule: RequestRule, side: string, terms: RequestTerms, endpoint: ClauseId, file: string): ClausePlace {
  const { path: at, ...content } = rule
  const scope = { format: FORMAT, endpoint, side, scope: terms.path, enforce: terms.enforce }
  return { clause: digestOfText(canonicalize({ ...scope, ...content })), place: `${file} ${at}` }
}

function compileRule(
  rule: RequestRule,
  side: 'allow' | 'deny',
  at: ClausePlace,
  isRpc: boolean,
  protocol: string,
): Rule {
  // What cannot be read must not widen: it fails an allow rule, and is left out of a deny rule.
  const unread = side === 'deny'
  const one = (glob: string): Glob => {
    const compiled = opaGlob(glob, '.')
    return compiled.malformed && unread ? ANYTHING : compiled
  }
  const any = (globs: Globs): Glob[] => globs.map(one)
  return {
    answer: side === 'allow' ? allowed('rule', at) : denied('deny-rule', at),
    method: rule.method ?? (unread && isAboutHttp(rule) ? '*' : undefined),
    path: pathOf(rule.pathGlob, unread),
    query: rule.query.map(({ key, globs }) => ({ key, any: any(globs) })),
    operation: rule.operationType,
    name: rule.operationName === undefined ? undefined : one(rule.operationName),
    fields: any(rule.fields),
    rpcMethod: isRpc ? rpcMethodOf(rule.method, protocol, one) : () => false,
    tool: rule.tool && any(rule.tool),
  }
}

const isAboutHttp = (rule: RequestRule): boolean =>
  rule.operationType === undefined && (rule.pathGlob !== undefined || rule.query.length > 0)

const ANYTHING: Glob = { malformed: false, matches: () => true }

function pathOf(glob: string | undefined, unread: boolean): (path: string) => boolean {
  if (glob === '**') return ANYTHING.matches
  const compiled = glob === undefined ? undefined : opaGlob(glob, '/')
  return compiled === undefined || compiled.malformed ? () => unread : compiled.matches
}

function rpcMethodOf(method: string | undefined, protocol: string, one: (glob: string) => Glob) {
  if (method === undefined) return () => false
  if (protocol === 'mcp') return one(method).matches
  return method === '*' ? ANYTHING.matches : (text: string) => text === method
}

/** The allow rule that admits the request, or the deny rule that hits it. */
export function ruleFor(endpoint: Requests, side: 'allow' | 'deny', action: RequestAction): Decision | undefined {
  const rules = endpoint[side]
  const plain = rules.plain.size === 0 ? undefined : rules.plain.get(action.path)
  if (plain) for (const rule of plain) if (fits(rule, side, action)) return rule.answer
  for (const rule of rules.others) if (rule.method !== undefined && fits(rule, side, action)) return rule.answer
  return undefined
}

function fits(rule: Rule, side: 'allow' | 'deny', action: RequestAction): boolean {
  const { method } = rule
  if (method === undefined || rule.operation !== undefined) return false
  // HEAD satisfies GET (RFC 9110 section 9.3.2).
  if (method !== '*' && method !== action.method && !(action.method === 'HEAD' && method === 'GET')) return false
  if (!rule.path(action.path)) return false
  for (const { key, any } of rule.query) {
    const given = action.query && Object.hasOwn(action.query, key) ? action.query[key] : undefined
    const matches = (value: string): boolean => any.some((glob) => glob.matches(value))
    // Section 7: an allow needs every value of each key, a deny one value of each.
    if (given === undefined || given.length === 0) return false
    if (side === 'allow' ? !given.every(matches) : !given.some(matches)) return false
  }
  return true
}

/** What the GraphQL rules say about all operations of a request. */
export function judgeGraphql(endpoint: Requests, operations: readonly GraphqlOperation[]): Decision {
  let last: Decision | undefined
  const read: GraphqlOperation[] = []
  for (const operation of operations) {
    const effective =
      operation.persisted === undefined || operation.type !== '' ? operation : registered(endpoint, operation.persisted)
    if (!effective) return denied('persisted-query', endpoint.at)
    read.push(effective)
  }
  for (const operation of read) {
    const hit = endpoint.deny.all.find((rule) => isOperation(rule, operation) && someField(rule, operation))
    if (hit) return hit.answer
  }
  for (const operation of read) {
    const rule = endpoint.allow.all.find((one) => isOperation(one, operation) && everyField(one, operation))
    if (!rule) return denied('no-request-rule', endpoint.at)
    last ??= rule.answer
  }
  return last ?? denied('malformed', endpoint.at)
}

function registered(endpoint: Requests, id: string): GraphqlOperation | undefined {
  const query = endpoint.registered.get(id)
  return query && { type: query.operationType, name: query.operationName, fields: query.fields }
}

const isOperation = (rule: Rule, operation: GraphqlOperation): boolean =>
  rule.operation !== undefined &&
  (rule.operation === '*' || rule.operation === operation.type) &&
  (rule.name === undefined || rule.name.matches(operation.name))

/** An allow that lists fields needs every selected root field to be among them (one safe field excuses no other). */
const everyField = (rule: Rule, { fields }: GraphqlOperation): boolean =>
  rule.fields.length === 0 ||
  (fields.length > 0 && fields.every((field) => rule.fields.some((glob) => glob.matches(field))))
const someField = (rule: Rule, { fields }: GraphqlOperation): boolean =>
  rule.fields.length === 0 || fields.some((field) => rule.fields.some((glob) => glob.matches(field)))

const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/

/** What the rules say about the calls of a body: each must be admitted by itself, and one that is not denies them all. */
export function judgeCalls(endpoint: Requests, action: RequestAction): Decision {
  const isMcp = endpoint.protocol === 'mcp'
  if (action.rpcResponse === true)
    // An answer to what the server asked is part of MCP; plain JSON-RPC has no such direction.
    return isMcp && action.method === 'POST' ? allowed('rule', endpoint.at) : denied('response-frame', endpoint.at)
  const calls = action.rpc ?? []
  if (isMcp && action.method === 'GET' && calls.length === 0) return allowed('rule', endpoint.at)
  if (action.method !== 'POST' || calls.length === 0) return denied('no-request-rule', endpoint.at)
  let answer: Decision | undefined
  for (const call of calls) {
    if (call.method === '') return denied('malformed', endpoint.at)
    if (isMcp && endpoint.strictToolNames && call.method === 'tools/call' && !TOOL_NAME.test(call.tool ?? ''))
      return denied('malformed', endpoint.at)
    const fitsCall = (rule: Rule): boolean =>
      rule.rpcMethod(call.method) &&
      (!isMcp ||
        rule.tool === undefined ||
        (call.tool !== undefined && rule.tool.some((glob) => glob.matches(call.tool ?? ''))))
    const hit = endpoint.deny.all.find(fitsCall)
    if (hit) return hit.answer
    const rule = endpoint.allow.all.find(fitsCall)?.answer ?? profileFor(endpoint, call.method)
    if (!rule) return denied('no-request-rule', endpoint.at)
    answer ??= rule
  }
  return answer ?? denied('malformed', endpoint.at)
}

const profileFor = (endpoint: Requests, method: string): Decision | undefined =>
  isKnownMethod(method) && !(method === 'tools/call' && endpoint.narrowsTools) ? endpoint.profile : undefined
