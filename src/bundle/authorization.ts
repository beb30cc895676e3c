// Authorizations as registration and delegation statements carry them: a kind of action and limits on it. Takes JSON of a
// statement whose signature may not have been checked yet; gives plain values, or refuses. A limit that its kind does not know,
// and a star where no reader looks for one, would be believed in by whoever signed it and held by nobody, so both are refused.

import type { Json } from '../base/canonical.js'
import { isObject } from '../base/json.js'
import { isPort } from '../base/ports.js'
import { quote } from '../base/quote.js'
import type { No } from './release.js'

export const AUTHORIZED_KINDS = ['request', 'connect', 'file', 'exec', 'run-as'] as const
export type AuthorizedKind = (typeof AUTHORIZED_KINDS)[number]

/** Absent limits are no limits. What each of them means is said where actions are judged (decide/scope.ts). */
export interface SignedAuthorization {
  readonly kind: AuthorizedKind
  readonly hosts?: readonly string[]
  readonly ports?: readonly number[]
  readonly methods?: readonly string[]
  readonly paths?: readonly string[]
  readonly tools?: readonly string[]
  readonly access?: 'read'
}

const LIMITS_OF: Readonly<Record<AuthorizedKind, readonly string[]>> = {
  request: ['hosts', 'ports', 'methods', 'paths', 'tools'],
  connect: ['hosts', 'ports'],
  file: ['paths', 'access'],
  exec: ['paths'],
  'run-as': [],
}

/** Of each list: how a text of it is spelt. Names and methods in one case, because they are compared as they stand. */
const SPELT: Readonly<Record<'hosts' | 'methods' | 'paths' | 'tools', RegExp>> = {
  hosts: /^(?:\*\.)?[a-z0-9._-]{1,253}$|^[0-9a-f:.]{2,45}$/,
  methods: /^[A-Z_]{1,32}$/,
  paths: /^(?:[A-Za-z0-9._-]{1,255}:)?(?:\/[^*\p{Cc}]{0,2046}|(?:\/[^*\p{Cc}]{0,2044})?\/\*\*)$/u,
  tools: /^[^*\p{Cc}]{0,255}\*?$/u,
}
const MAX_ITEMS = 256

/** Throws what `no` makes, naming the member. */
export function readAuthorizations(value: Json | undefined, no: No): readonly SignedAuthorization[] {
  if (!Array.isArray(value) || value.length > MAX_ITEMS)
    throw no(`authorizations is not a list of at most ${MAX_ITEMS}`)
  return value.map((entry: Json) => readOne(entry, no))
}

function readOne(entry: Json, no: No): SignedAuthorization {
  if (!isObject(entry)) throw no('an authorization is not an object')
  const kind = AUTHORIZED_KINDS.find((one) => one === entry.kind)
  if (kind === undefined) throw no(`an authorization has none of the kinds ${AUTHORIZED_KINDS.join(', ')}`)
  const known = LIMITS_OF[kind]
  const other = Object.keys(entry).find((key) => key !== 'kind' && !known.includes(key))
  if (other !== undefined) throw no(`an authorization of kind ${kind} knows no limit ${quote(other)}`)
  if (entry.access !== undefined && entry.access !== 'read') throw no('access is read, or left out for both')
  const texts = (['hosts', 'methods', 'paths', 'tools'] as const).flatMap((key) =>
    entry[key] === undefined ? [] : [[key, readTexts(entry[key], key, no)] as const],
  )
  return {
    kind,
    ...Object.fromEntries(texts),
    ...(entry.ports === undefined ? {} : { ports: readPorts(entry.ports, no) }),
    ...(entry.access === undefined ? {} : { access: 'read' as const }),
  }
}

function readTexts(value: Json | undefined, key: keyof typeof SPELT, no: No): readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_ITEMS) throw no(`${key} is not a list of at most ${MAX_ITEMS}`)
  return value.map((text: Json) => {
    if (typeof text !== 'string') throw no(`${key} has something that is not text`)
    if (!SPELT[key].test(text)) throw no(`${key} has ${quote(text)}`)
    return text
  })
}

function readPorts(value: Json, no: No): readonly number[] {
  if (!Array.isArray(value) || value.length > MAX_ITEMS) throw no(`ports is not a list of at most ${MAX_ITEMS}`)
  return value.map((port: Json) => {
    if (typeof port !== 'number' || !isPort(port)) throw no('ports has something that is not a port')
    return port
  })
}
