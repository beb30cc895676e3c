// What a delegation carries: a list of authorizations, each a kind of action and limits on it. Absent limits are no limits;
// an empty list of authorizations carries nothing. The patterns are few on purpose, so that "no wider than" can be decided
// exactly: a text, or a text that ends in the one star that its limit knows (`/**` for paths, `*` for tools, `*.` in front of a
// host for one label). Comparing scope strings is not enough, and what cannot be compared is not narrower (ODIS section 6.3).

import { FILE_OPERATIONS } from '../plan/file-operations.js'
import { foldName } from '../policy/host-pattern.js'
import type { Action } from './model.js'

export interface Authorization {
  readonly kind: Action['kind']
  /** request, connect: exact, or `*.example.com` for one label. */
  readonly hosts?: readonly string[]
  readonly ports?: readonly number[]
  /** request: upper case. */
  readonly methods?: readonly string[]
  /** request, file, exec: exact, or `/x/**` for everything below `/x`; files of a volume begin with its name, `data:/x`. */
  readonly paths?: readonly string[]
  /** request: calls of tools, exact or with a star at the end; without it a request may call any. */
  readonly tools?: readonly string[]
  /** file: absent is both. */
  readonly access?: 'read'
}

type Covers = (parent: string, child: string) => boolean

/** Whether the pattern `parent` admits everything that the pattern or text `child` does. */
const COVERS: Readonly<Record<'hosts' | 'methods' | 'paths' | 'tools', Covers>> = {
  hosts: (parent, child) =>
    parent === child ||
    (parent.startsWith('*.') &&
      !child.startsWith('*.') &&
      child.endsWith(parent.slice(1)) &&
      /^[^.]+$/.test(child.slice(0, 1 - parent.length))),
  methods: (parent, child) => parent === child,
  paths: (parent, child) => parent === child || (parent.endsWith('/**') && child.startsWith(parent.slice(0, -2))),
  tools: (parent, child) => parent === child || (parent.endsWith('*') && child.startsWith(parent.slice(0, -1))),
}
const LISTS = ['hosts', 'methods', 'paths', 'tools'] as const

/** True when every authorization of the child lies inside one of the parent's. */
export const isNarrower = (child: readonly Authorization[], parent: readonly Authorization[]): boolean =>
  child.every((one) => parent.some((other) => coversOne(other, one)))

function coversOne(parent: Authorization, child: Authorization): boolean {
  if (parent.kind !== child.kind) return false
  if (parent.access !== undefined && child.access === undefined) return false
  if (parent.ports && !child.ports?.every((port) => parent.ports?.includes(port))) return false
  return LISTS.every((key) => {
    const wider = parent[key]
    const list = child[key]
    return !wider || (list?.every((text) => wider.some((pattern) => COVERS[key](pattern, text))) ?? false)
  })
}

/** Whether some authorization admits the action. */
export const permits = (scope: readonly Authorization[], action: Action): boolean =>
  scope.some((one) => one.kind === action.kind && permitsOne(one, action))

function permitsOne(one: Authorization, action: Action): boolean {
  const admits = (key: keyof typeof COVERS, text: string): boolean =>
    one[key]?.some((pattern) => COVERS[key](pattern, text)) ?? true
  switch (action.kind) {
    case 'request':
      return (
        admits('hosts', foldName(action.host)) &&
        (one.ports?.includes(action.port) ?? true) &&
        admits('methods', action.method) &&
        admits('paths', action.path) &&
        (action.rpc ?? []).every(({ method, tool }) => method !== 'tools/call' || admits('tools', tool ?? ''))
      )
    case 'connect':
      return admits('hosts', foldName(action.host)) && (one.ports?.includes(action.port) ?? true)
    case 'file':
      return (
        admits('paths', action.volume === undefined ? action.path : `${action.volume}:${action.path}`) &&
        (one.access === undefined || FILE_OPERATIONS[action.operation].need !== 'write')
      )
    case 'exec':
      return admits('paths', action.path)
    case 'run-as':
      return true
  }
}
