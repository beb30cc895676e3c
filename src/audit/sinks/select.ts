// What a sink gets to see: which events, and which of their members not. A value that is kept back becomes the text "redacted"
// where it was a text, and is left out otherwise; the event is printed in its canonical form again, and says in
// `unmapped.redacted` which members are not as they were. Place and identity of an event always stay, so that what was
// delivered can be counted. Pure.
//
// A redacted event no longer has the fingerprint that stands in it: whoever gets one can follow the chain by its links, and
// has to ask the journal for the text. `sluice audit verify` of such a copy says so.

import { canonicalize, type Json } from '../../base/canonical.js'
import { isObject, JsonError, parseJson } from '../../base/json.js'

export interface Selection {
  /** `class_uid`s; absent: all. */
  readonly classes?: readonly number[]
  /** Events below this `severity_id` are left out. */
  readonly minSeverity?: number
  /** Paths of members: `src_endpoint.ip`. A list on the way stands for each of its elements. */
  readonly redact: readonly string[]
}

export const REDACTED = 'redacted'

/**
 * An event as the sink gets it, or undefined when it does not. A line of which nothing can be kept back, because it is not the
 * JSON of an event any more, is left out: what must not be seen is not shown.
 */
export function selection({ classes, minSeverity = 0, redact }: Selection): (text: string) => string | undefined {
  const wanted = classes && new Set(classes)
  const paths = redact.map((path) => path.split('.'))
  return (text) => {
    const classUid = Number(/"class_uid":(\d+),/.exec(text)?.[1])
    if (wanted && !wanted.has(classUid)) return undefined
    if (Number(/"severity_id":(\d+),/.exec(text)?.[1]) < minSeverity) return undefined
    if (paths.length === 0) return text
    const event = parsed(text)
    if (!isObject(event)) return undefined
    const found = paths.filter((path) => has(event, path)).map((path) => path.join('.'))
    if (found.length === 0) return text
    const rest = paths.reduce<Json>(without, event)
    return isObject(rest) ? canonicalize(marked(rest, found)) : undefined
  }
}

/** What a redacted event says of itself; the list is never empty. */
function marked(event: { readonly [name: string]: Json }, redacted: readonly string[]): Json {
  const { unmapped } = event
  return { ...event, unmapped: { ...(isObject(unmapped) ? unmapped : {}), redacted } }
}

/** Whether the event has such a member: in any element of a list on the way. */
function has(value: Json | undefined, path: readonly string[]): boolean {
  if (Array.isArray(value)) return (value as readonly Json[]).some((one) => has(one, path))
  const [name, ...rest] = path
  if (name === undefined) return value !== undefined
  return isObject(value) && Object.hasOwn(value, name) && has(value[name], rest)
}

function parsed(text: string): Json | undefined {
  try {
    return parseJson(text)
  } catch (error) {
    // Somebody changed the journal; finding out what is the business of `verify`.
    if (error instanceof JsonError) return undefined
    throw error
  }
}

function without(value: Json, path: readonly string[]): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((one) => without(one, path))
  const [name, ...rest] = path
  if (name === undefined || !isObject(value) || !Object.hasOwn(value, name)) return value
  const { [name]: at = null, ...others } = value
  if (rest.length > 0) return { ...others, [name]: without(at, rest) }
  return typeof at === 'string' ? { ...others, [name]: REDACTED } : others
}
