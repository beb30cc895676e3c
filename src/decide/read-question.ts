// A question as callers write it -> an action and who acts. The text is JSON in the shape of an ODIS identity context (section
// 6.4; identity sheet section 3): `agent_runtime`, `action {tool, method, resource, parameters}`, `request_trace_id`. What the
// context must not decide by itself is not read from it: the workspace comes from the caller's identity, the time from the clock.
// `agent_registration {agent_id}` names the logical agent that acts, and `delegation` is the chain of signed records by which it
// may, root first: both are only carried here, and verified by whoever answers.
//
//   resource                     action
//   https://HOST[:PORT]/PATH?Q   a request; also http, ws, wss. `method` is HTTP's, `tool` a call of an MCP tool
//   tcp://HOST:PORT, udp://...   a connection
//   file:///PATH                 a file of the workspace; volume://NAME/PATH one of a volume. `method` is the operation
//   exec:///PATH                 a program; `parameters.digest`
//   process:run-as               `parameters.user`, `parameters.group`
//
// Unknown members are refused: a limit that a caller believes in and nobody reads would be worse than none.

import type { Json } from '../base/canonical.js'
import { isDigest } from '../base/digest.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { FILE_OPERATIONS, type FileOperation } from '../plan/file-operations.js'
import type { Action, GraphqlOperation, RequestAction, RpcCall } from './model.js'

export interface Question {
  readonly executable?: string
  readonly ancestors?: readonly string[]
  readonly action: Action
  /** The logical agent that acts; absent where nobody says. */
  readonly agentId?: string
  /** untrusted: signed delegation records as they came, root first. */
  readonly delegations?: readonly Json[]
  /** Correlation only, never evidence. */
  readonly traceId: string
}

/** Octets of a question. */
export const MAX_QUESTION = 32_768
const MAX_ITEMS = 64
const CONTEXT = ['agent_registration', 'agent_runtime', 'delegation', 'action', 'request_trace_id']

class Wrong extends TypeError {}

// untrusted: `text`
/** The question, or a sentence part about what is wrong with it. */
export function readQuestion(text: string): Question | string {
  if (text.length > MAX_QUESTION) return `it is longer than ${MAX_QUESTION} characters`
  try {
    const context = members(parseJson(text), 'the question', CONTEXT)
    const runtime = members(context.agent_runtime ?? {}, 'agent_runtime', ['executable', 'ancestors'])
    const { executable, ancestors } = runtime
    const { agent_registration: registration, delegation } = context
    const named = registration === undefined ? {} : members(registration, 'agent_registration', ['agent_id'])
    if (delegation !== undefined && registration === undefined)
      throw new Wrong('delegation needs agent_registration: it is given to somebody')
    return {
      ...(registration === undefined ? {} : { agentId: word(named.agent_id, 'agent_id') }),
      ...(delegation === undefined ? {} : { delegations: list(delegation, 'delegation') }),
      ...(executable === undefined ? {} : { executable: word(executable, 'executable') }),
      ...(ancestors === undefined
        ? {}
        : { ancestors: list(ancestors, 'ancestors').map((one) => word(one, 'ancestors')) }),
      action: readAction(members(context.action, 'action', ['tool', 'method', 'resource', 'parameters'])),
      traceId: context.request_trace_id === undefined ? '' : word(context.request_trace_id, 'request_trace_id'),
    }
  } catch (error) {
    if (error instanceof JsonError) return 'it is not strict JSON'
    if (error instanceof Wrong) return error.message
    throw error
  }
}

type Members = Readonly<Record<string, Json | undefined>>

function members(value: Json | undefined, what: string, known: readonly string[]): Members {
  if (!isObject(value)) throw new Wrong(`${what} is not an object`)
  const other = Object.keys(value).find((key) => !known.includes(key))
  if (other !== undefined) throw new Wrong(`${what} has the unknown member ${JSON.stringify(other.slice(0, 40))}`)
  return value
}

function word(value: Json | undefined, what: string): string {
  if (typeof value !== 'string' || value.length > 8_192) throw new Wrong(`${what} is not a text`)
  return value
}

function list(value: Json | undefined, what: string): readonly Json[] {
  if (!Array.isArray(value) || value.length > MAX_ITEMS)
    throw new Wrong(`${what} is not a list of at most ${MAX_ITEMS}`)
  return value as readonly Json[]
}

const NONE: readonly string[] = []

function readAction({ tool, method, resource, parameters }: Members): Action {
  const text = word(resource, 'resource')
  const [scheme = ''] = /^[a-z-]+(?=:)/.exec(text) ?? []
  const given = (...known: readonly string[]): Members => members(parameters ?? {}, 'parameters', known)
  const plain = (...unused: readonly (Json | undefined)[]): void => {
    if (unused.some((one) => one !== undefined)) throw new Wrong(`a ${scheme} resource takes no such member`)
  }
  switch (scheme) {
    case 'http':
    case 'https':
    case 'ws':
    case 'wss':
      return readRequest(
        text,
        word(method, 'method'),
        tool,
        given('address', 'graphql', 'calls', 'response', 'upgrade'),
      )
    case 'tcp':
    case 'udp': {
      plain(tool, method)
      const { address } = given('address')
      const [, host = '', port = ''] = /^[a-z]+:\/\/([^/?#]+):(\d{1,5})$/.exec(text) ?? []
      const at = address === undefined ? {} : { address: word(address, 'address') }
      return { kind: 'connect', protocol: scheme, host: bare(host), port: portOf(port), ...at }
    }
    case 'file':
    case 'volume': {
      plain(tool)
      given(...NONE)
      const [, volume = '', path = ''] = /^[a-z]+:\/\/([A-Za-z0-9._-]*)(\/.*)$/.exec(text) ?? []
      const operation = word(method, 'method')
      if (!Object.hasOwn(FILE_OPERATIONS, operation)) throw new Wrong('method is no operation on files')
      if ((scheme === 'file') !== (volume === '')) throw new Wrong('resource is file:///PATH or volume://NAME/PATH')
      return { kind: 'file', operation: operation as FileOperation, path, ...(volume === '' ? {} : { volume }) }
    }
    case 'exec': {
      plain(tool, method)
      const { digest } = given('digest')
      if (digest !== undefined && !(typeof digest === 'string' && isDigest(digest)))
        throw new Wrong('digest is not sha256:...')
      const [, path = ''] = /^exec:\/\/(\/.+)$/.exec(text) ?? []
      return { kind: 'exec', path, ...(digest === undefined ? {} : { digest }) }
    }
    case 'process': {
      plain(tool, method)
      const { user, group } = given('user', 'group')
      if (text !== 'process:run-as') throw new Wrong('resource is process:run-as')
      return {
        kind: 'run-as',
        ...(user === undefined ? {} : { user: word(user, 'user') }),
        ...(group === undefined ? {} : { group: word(group, 'group') }),
      }
    }
    default:
      throw new Wrong('resource has no scheme that a policy speaks of')
  }
}

function readRequest(text: string, method: string, tool: Json | undefined, given: Members): RequestAction {
  const [, scheme = '', host = '', port, path = '/', query] =
    /^([a-z]+):\/\/(\[[0-9A-Fa-f:.]+\]|[^:/?#[\]]+)(?::(\d{1,5}))?(\/[^?#]*)?(?:\?([^#]*))?$/.exec(text) ?? []
  if (host === '') throw new Wrong('resource is not SCHEME://HOST/PATH')
  const { address, graphql, calls, response, upgrade } = given
  if (tool !== undefined && calls !== undefined) throw new Wrong('tool and parameters.calls say the same thing')
  const called = tool === undefined ? undefined : [{ method: 'tools/call', tool: word(tool, 'tool') }]
  const rpc = called ?? (calls === undefined ? undefined : list(calls, 'calls').map(readCall))
  return {
    kind: 'request',
    host: bare(host),
    port: port === undefined ? (scheme.endsWith('s') && scheme !== 'ws' ? 443 : 80) : portOf(port),
    method: method.toUpperCase(),
    path,
    ...(query === undefined ? {} : { query: readQuery(query) }),
    ...(address === undefined ? {} : { address: word(address, 'address') }),
    ...(isTrue(upgrade, 'upgrade') ? { upgrade: true } : {}),
    ...(isTrue(response, 'response') ? { rpcResponse: true } : {}),
    ...(graphql === undefined ? {} : { graphql: list(graphql, 'graphql').map(readOperation) }),
    ...(rpc === undefined ? {} : { rpc }),
  }
}

const bare = (host: string): string => host.replace(/^\[(.*)\]$/, '$1')

function portOf(text: string): number {
  const port = Number(text)
  if (text === '' || port < 1 || port > 65_535) throw new Wrong('resource has no port from 1 to 65535')
  return port
}

function isTrue(value: Json | undefined, what: string): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw new Wrong(`${what} is not true or false`)
  return value === true
}

function readCall(value: Json): RpcCall {
  const { method, tool } = members(value, 'a call', ['method', 'tool'])
  return { method: word(method, 'method'), ...(tool === undefined ? {} : { tool: word(tool, 'tool') }) }
}

function readOperation(value: Json): GraphqlOperation {
  const { type, name, fields, persisted } = members(value, 'an operation', ['type', 'name', 'fields', 'persisted'])
  return {
    type: type === undefined ? '' : word(type, 'type').toLowerCase(),
    name: name === undefined ? '' : word(name, 'name'),
    fields: fields === undefined ? [] : list(fields, 'fields').map((field) => word(field, 'fields')),
    ...(persisted === undefined ? {} : { persisted: word(persisted, 'persisted') }),
  }
}

/** Decoded once, as the rules want it (sheet section 6): `+` is a space only in forms. */
function readQuery(text: string): Readonly<Record<string, readonly string[]>> {
  const values = new Map<string, string[]>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const [key, value] = [at < 0 ? pair : pair.slice(0, at), at < 0 ? '' : pair.slice(at + 1)].map(decoded)
    values.set(key ?? '', [...(values.get(key ?? '') ?? []), value ?? ''])
  }
  return Object.fromEntries(values)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone percent sign, or octets that are not UTF-8: two readers would read it in two ways.
    throw new Wrong('the query is not percent-encoded UTF-8')
  }
}
