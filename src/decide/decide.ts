// May this be done? A pure answer to one question: (program, who asks, what, when) -> decision. Deny is stronger than allow, and
// what nothing allows is denied (sheet section 7). Where the SandboxPolicy only audits, what its rules deny is allowed with the
// obligation to log it; what cannot be read, or must never be, is denied even so.
//
// Answers that carry no obligation are made when the program is compiled, so that an ordinary question allocates nothing.

import { type Ip, inPrefix, parseIp } from '../base/ip.js'
import { type AddressClass, addressClass } from '../base/reserved.js'
import { isBlockedName } from '../policy/host-pattern.js'
import { carries } from './authority.js'
import { decideExec, decideFile, decideRunAs } from './local.js'
import { isKnownMethod } from './mcp-methods.js'
import {
  type Action,
  type Asking,
  allowed,
  type ConnectAction,
  type Decision,
  type DenyReason,
  denied,
  type Obligation,
  type RequestAction,
} from './model.js'
import { type Endpoint, type Program, readHost, type WorkspaceProgram } from './program.js'
import { judgeCalls, judgeGraphql, type Requests, ruleFor } from './requests.js'

export function decide(program: Program, asking: Asking, action: Action, nowMs: number): Decision {
  if (asking.quarantined) return QUARANTINED
  if (asking.suspended) return SUSPENDED
  const workspace = program.workspaces.get(asking.workspace)
  if (!workspace) return UNKNOWN
  if (nowMs >= program.expiresAtMs && workspace.onExpiry === 'suspend') return EXPIRED
  const { authority } = asking
  if (authority === undefined) return decideAction(workspace, asking, action)
  if (typeof authority === 'string') return denied(authority)
  if (nowMs >= authority.expiresAtMs) return denied('delegation-expired')
  if (!carries(authority, action)) return denied('not-delegated')
  const decision = decideAction(workspace, asking, action)
  if (decision.decision === 'deny' || !authority.review) return decision
  return { ...decision, obligations: [...decision.obligations, { kind: 'review', of: 'delegation' }] }
}

function decideAction(workspace: WorkspaceProgram, asking: Asking, action: Action): Decision {
  switch (action.kind) {
    case 'request':
      return decideRequest(workspace, asking, action)
    case 'connect':
      return decideConnect(workspace, asking, action)
    case 'file':
      return decideFile(workspace, asking, action)
    case 'exec':
      return decideExec(workspace, action)
    case 'run-as':
      return decideRunAs(workspace, action)
  }
}

const QUARANTINED = denied('quarantined')
const SUSPENDED = denied('suspended')
const UNKNOWN = denied('unknown-workspace')
const EXPIRED = denied('expired')
const MALFORMED = denied('malformed')

function decideConnect(workspace: WorkspaceProgram, asking: Asking, action: ConnectAction): Decision {
  const found = reach(workspace, asking, action, action.protocol)
  if ('decision' in found) return found
  const plain = found.find((endpoint) => !endpoint.requests)
  const endpoint = plain ?? found[0]
  if (!endpoint) return denied('no-grant')
  const inspected = found.find(({ requests }) => requests)?.requests
  const obligations: Obligation[] = within(endpoint, action)
  if (inspected) obligations.push({ kind: 'inspect', protocol: inspected.protocol })
  return obligations.length === 0 ? endpoint.grant : allowed('grant', endpoint.at, obligations)
}

function decideRequest(workspace: WorkspaceProgram, asking: Asking, action: RequestAction): Decision {
  if (!isCanonical(action.path)) return MALFORMED
  const found = reach(workspace, asking, action, 'tcp')
  if ('decision' in found) return found
  const inspected = found.length === 1 && found[0]?.requests ? found : found.filter(({ requests }) => requests)
  const endpoint = inspected[0] ?? found[0]
  if (!endpoint) return denied('no-grant')
  // A plain grant says nothing about what is inside, and beside rules it takes nothing from them.
  const decision = inspected.length === 0 ? endpoint.grant : judge(inspected, action)
  if (decision.decision === 'deny') return decision
  if (!endpoint.within && workspace.review.size === 0) return decision
  const more = [...within(endpoint, action), ...review(workspace, action)]
  return more.length === 0 ? decision : { ...decision, obligations: [...decision.obligations, ...more] }
}

/** The endpoints for host, port, program and address; or why there are none. */
function reach(
  workspace: WorkspaceProgram,
  asking: Asking,
  action: ConnectAction | RequestAction,
  protocol: 'tcp' | 'udp',
): readonly Endpoint[] | Decision {
  const { name, ip } = readHost(action.host)
  if (!ip && (name === '' || name.length > MAX_NAME)) return MALFORMED
  if (!ip && isBlockedName(name)) return denied('blocked-name')
  const address = ip ?? (action.address === undefined ? undefined : parseIp(action.address))
  if (action.address !== undefined && !address) return MALFORMED
  const where = address && addressClass(address)
  if (where === 'never') return denied('never-address')
  const entry = workspace.byPort.get(action.port)
  const exact = entry?.exact.get(name)
  const [only] = exact ?? []
  // Most questions are about one endpoint: its own list is the answer, and nothing is gathered.
  if (exact && only && exact.length === 1 && entry?.wide.length === 0 && workspace.ranged.length === 0) {
    if (only.protocol !== protocol) return denied('no-grant')
    const refusal = refusalOf(only, asking, address, where)
    return refusal === undefined ? exact : denied(refusal, only.at)
  }
  const near: Endpoint[] = []
  if (exact) for (const endpoint of exact) if (endpoint.protocol === protocol) near.push(endpoint)
  const add = (endpoint: Endpoint): void => {
    if (endpoint.protocol === protocol && couldReach(endpoint, name, address)) near.push(endpoint)
  }
  if (entry) for (const endpoint of entry.wide) add(endpoint)
  for (const { ports, endpoint } of workspace.ranged)
    if (ports.from <= action.port && action.port <= ports.to) add(endpoint)
  return gather(near, asking, address, where)
}

/** Those that admit who asks and where; or the reason of the last one by its address, or else of the first by its program. */
function gather(
  near: readonly Endpoint[],
  asking: Asking,
  address: Ip | undefined,
  where: AddressClass | undefined,
): readonly Endpoint[] | Decision {
  const found: Endpoint[] = []
  let why: DenyReason = 'no-grant'
  let at: Endpoint | undefined
  for (const endpoint of near) {
    const refusal = refusalOf(endpoint, asking, address, where)
    if (refusal === undefined) found.push(endpoint)
    else if (refusal !== 'binary' || why === 'no-grant') {
      why = refusal
      at = endpoint
    }
  }
  return found.length > 0 ? found : denied(why, at?.at)
}

/** Why an endpoint for that host and port does not admit this program at this address. */
function refusalOf(
  endpoint: Endpoint,
  { executable, ancestors }: Asking,
  address: Ip | undefined,
  where: AddressClass | undefined,
): DenyReason | undefined {
  if (!endpoint.binary(executable, ancestors)) return 'binary'
  if (address === undefined || admits(endpoint, address, where === 'reserved')) return undefined
  return where === 'reserved' ? 'reserved' : 'address-not-granted'
}

/** RFC 1035 section 2.3.4. */
const MAX_NAME = 253

/** By its name, or for a grant of addresses by the address, which may still be unknown. */
const couldReach = (endpoint: Endpoint, name: string, address: Ip | undefined): boolean =>
  endpoint.name
    ? name !== '' && endpoint.name(name)
    : !address || (endpoint.within?.some((prefix) => inPrefix(address, prefix)) ?? false)

const admits = (endpoint: Endpoint, address: Ip, isReserved: boolean): boolean =>
  (endpoint.within?.some((prefix) => inPrefix(address, prefix)) ?? true) && (!isReserved || endpoint.opens(address))

const within = (endpoint: Endpoint, action: ConnectAction | RequestAction): Obligation[] =>
  endpoint.within && action.address === undefined && !readHost(action.host).ip
    ? [{ kind: 'address-within', prefixes: endpoint.withinText }]
    : []

function judge(endpoints: readonly Endpoint[], action: RequestAction): Decision {
  const chosen = routeOf(endpoints, action.path)
  if (!chosen) return denied('no-route', endpoints[0]?.at)
  if (!chosen.encodedSlash && /%2f/i.test(action.path)) return denied('malformed', chosen.at)
  // A client's answer to a JSON-RPC server is never a request that rules could be about.
  if (action.rpcResponse === true && chosen.protocol === 'json-rpc') return denied('response-frame', chosen.at)
  const decision = judgeRules(endpoints, chosen, action)
  if (
    decision.decision === 'allow' ||
    chosen.enforce ||
    decision.reason === 'malformed' ||
    decision.reason === 'protocol'
  )
    return decision
  const { reason, clause = chosen.at.clause, place = chosen.at.place } = decision
  return allowed('audit', { clause, place }, [{ kind: 'log', reason }])
}

/** Section 6: the endpoint whose settings apply is the most specific one; of equals, mcp. */
function routeOf(endpoints: readonly Endpoint[], path: string): Requests | undefined {
  let chosen: Requests | undefined
  for (const { requests } of endpoints)
    if (requests?.route.matches(path) && (!chosen || isCloser(requests, chosen))) chosen = requests
  return chosen
}

const isCloser = (a: Requests, b: Requests): boolean =>
  a.specificity !== b.specificity ? a.specificity > b.specificity : a.protocol === 'mcp' && b.protocol !== 'mcp'

function judgeRules(endpoints: readonly Endpoint[], chosen: Requests, action: RequestAction): Decision {
  const { protocol } = chosen
  // What the endpoint's reader would have found must be in the question: without it there is nothing to judge.
  if (protocol === 'graphql' && !action.graphql) return denied('protocol', chosen.at)
  const isRpc = protocol === 'json-rpc' || protocol === 'mcp'
  if (isRpc && action.method === 'POST' && !action.rpc && action.rpcResponse !== true)
    return denied('protocol', chosen.at)
  if (protocol === 'websocket' && action.method !== 'WEBSOCKET_TEXT' && action.upgrade !== true)
    return denied('protocol', chosen.at)
  let answer: Decision | undefined
  for (const { requests } of endpoints) {
    if (!requests?.authorized(action.path) || (requests !== chosen && !requests.route.matches(action.path))) continue
    const one = judgeEndpoint(requests, action)
    // Deny beats allow, whichever endpoint says it.
    if (one.decision === 'deny' && one.reason !== 'no-request-rule') return one
    if (one.decision === 'deny' && requests.protocol === 'graphql' && action.graphql) return one
    if (one.decision === 'deny' && requests.protocol === 'websocket' && action.graphql) return one
    if (one.decision === 'allow') answer ??= one
  }
  return answer ?? chosen.noRule
}

function judgeEndpoint(endpoint: Requests, action: RequestAction): Decision {
  if (endpoint.protocol === 'json-rpc' || endpoint.protocol === 'mcp') return judgeCalls(endpoint, action)
  const hit = ruleFor(endpoint, 'deny', action)
  if (hit) return hit
  if (action.graphql) {
    const judged = judgeGraphql(endpoint, action.graphql)
    // Where the endpoint reads GraphQL its word is the last; elsewhere a rule about methods and paths may still admit it.
    if (judged.decision === 'allow' || judged.reason === 'deny-rule') return judged
    if (endpoint.protocol === 'graphql' || endpoint.protocol === 'websocket') return judged
  }
  return ruleFor(endpoint, 'allow', action) ?? endpoint.noRule
}

const READING = ['GET', 'HEAD', 'OPTIONS']

/** Writes that the policy wants a person to see. */
function review(workspace: WorkspaceProgram, action: RequestAction): Obligation[] {
  if (workspace.review.size === 0) return []
  const tools = action.rpc?.some(({ method }) => method === 'tools/call') === true
  if (tools && workspace.review.has('tools')) return [{ kind: 'review', of: 'tools' }]
  const writes = action.graphql
    ? action.graphql.some(({ type }) => type !== 'query')
    : action.rpc
      ? action.rpc.some(({ method }) => !isKnownMethod(method))
      : !READING.includes(action.method)
  return writes && workspace.review.has('requests') ? [{ kind: 'review', of: 'requests' }] : []
}

/**
 * Rules are about canonical paths (sheet section 6): whoever asks has decoded the path and resolved it. What still has dot
 * segments, doubled slashes, parameters, a query or encoded dots in it would be read one way here and another way there.
 */
function isCanonical(path: string): boolean {
  const { length } = path
  if (length > MAX_PATH || path.charCodeAt(0) !== SLASH) return false
  let encoded = false
  for (let at = 0; at < length; at++) {
    const code = path.charCodeAt(at)
    const kind = code < 128 ? OCTETS[code] : PLAIN
    if (kind === PLAIN) continue
    if (kind === REFUSED) return false
    if (kind === ENCODED) {
      encoded = true
      continue
    }
    const next = path.charCodeAt(at + 1)
    if (next === SLASH) return false
    if (next === DOT && /^\.\.?(\/|$)/.test(path.slice(at + 1, at + 4))) return false
  }
  return !encoded || !/%(2e|00|5c|3b|3f|23)/i.test(path)
}

const [PLAIN, REFUSED, ENCODED, SEPARATOR] = [0, 1, 2, 3]
/** What an octet of a path is: controls, spaces and `#;?\\` are refused, `%` and `/` are looked at. */
const OCTETS = Uint8Array.from({ length: 128 }, (_, code) => {
  if (code <= 0x20 || code === 0x7f || '#;?\\'.includes(String.fromCharCode(code))) return REFUSED
  return code === 0x25 ? ENCODED : code === 0x2f ? SEPARATOR : PLAIN
})

const SLASH = 0x2f
const DOT = 0x2e
const MAX_PATH = 8_192
