// Questions as one line of text, so that a table of cases can be read:
//
//   GET https://api.example.com/v1/x?a=1&a=2     a request; the port is the scheme's unless it is written
//   connect tcp db.example.com:5432              a connection
//   file read /etc/hosts, file write data:/out   a file of the workspace, or of a volume
//   exec /usr/bin/git sha256:..., run-as user:sandbox group:sandbox
//
// followed by any of: `by PATH` and `under PATH` (program, ancestor), `at ADDRESS`, `upgrade`, `response`,
// `graphql TYPE[:NAME] FIELD,FIELD` and `persisted ID` (once for each operation), `call METHOD[:TOOL]` (once for each call).

import type { Action, Asking, Decision, GraphqlOperation, RequestAction, RpcCall } from '../../../src/decide/model.js'
import type { FileOperation } from '../../../src/plan/file-operations.js'
import { WS } from '../plans.js'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** `allow REASON`, with each obligation in brackets behind it. */
export const print = ({ decision, reason, obligations }: Decision): string =>
  [`${decision} ${reason}`, ...obligations.map((one) => `[${Object.values(one).flat().join(' ')}]`)].join(' ')

export interface Question {
  readonly asking: Asking
  readonly action: Action
}

export function question(line: string): Question {
  const words = line.trim().split(/\s+/)
  const take = (): string => {
    const word = words.shift()
    if (word === undefined) throw new Error(`the question ends too early: ${line}`)
    return word
  }
  const asking: Mutable<Asking> = { workspace: WS, quarantined: false, suspended: false, executable: '/usr/bin/curl' }
  const verb = take()
  const action = readAction(verb, take)
  const extra: Mutable<Partial<RequestAction>> = {}
  const graphql: GraphqlOperation[] = []
  const rpc: RpcCall[] = []
  while (words.length > 0) {
    const word = take()
    if (word === 'by') asking.executable = take()
    else if (word === 'under') asking.ancestors = [...(asking.ancestors ?? []), take()]
    else if (word === 'at') extra.address = take()
    else if (word === 'upgrade') extra.upgrade = true
    else if (word === 'response') extra.rpcResponse = true
    else if (word === 'graphql') {
      const [type = '', name = ''] = take().split(':')
      const fields = words[0] === undefined || /^(by|graphql|persisted)$/.test(words[0]) ? '' : take()
      graphql.push({ type, name, fields: fields === '' ? [] : fields.split(',') })
    } else if (word === 'persisted') graphql.push({ type: '', name: '', fields: [], persisted: take() })
    else if (word === 'call') {
      const [method = '', tool] = take().split(':')
      rpc.push({ method, ...(tool === undefined ? {} : { tool }) })
    } else throw new Error(`"${word}" is no part of a question: ${line}`)
  }
  const body = { ...extra, ...(graphql.length > 0 ? { graphql } : {}), ...(rpc.length > 0 ? { rpc } : {}) }
  if (action.kind === 'request') return { asking, action: { ...action, ...body } }
  const { address } = extra
  return { asking, action: action.kind === 'connect' && address !== undefined ? { ...action, address } : action }
}

function readAction(verb: string, take: () => string): Action {
  if (verb === 'connect') {
    const protocol = take() === 'udp' ? 'udp' : 'tcp'
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(take()) ?? []
    return { kind: 'connect', protocol, host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
  }
  if (verb === 'file') {
    const operation = take() as FileOperation
    const [, volume, path = ''] = /^(?:([a-z]+):)?(.*)$/.exec(take()) ?? []
    return { kind: 'file', operation, path, ...(volume === undefined ? {} : { volume }) }
  }
  if (verb === 'exec') {
    const [path = '', digest] = take().split('@')
    return { kind: 'exec', path, ...(digest === undefined ? {} : { digest }) }
  }
  if (verb === 'run-as') {
    const said = take()
      .split(',')
      .map((part) => part.split(':'))
    return { kind: 'run-as', ...(Object.fromEntries(said) as Record<string, string>) }
  }
  const [, scheme = '', host = '', port, path = '/', query] =
    /^(https?|wss?):\/\/(\[[^\]]*\]|[^:/?]*)(?::(\d+))?(\/[^?]*)?(?:\?(.*))?$/.exec(take()) ?? []
  const values = new Map<string, string[]>()
  for (const pair of query === undefined ? [] : query.split('&')) {
    const [key = '', value = ''] = pair.split('=').map(decodeURIComponent)
    values.set(key, [...(values.get(key) ?? []), value])
  }
  return {
    kind: 'request',
    method: verb,
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: port === undefined ? (/s$/.test(scheme) ? 443 : 80) : Number(port),
    path,
    ...(query === undefined ? {} : { query: Object.fromEntries(values) }),
  }
}
