// One line of QMP (docs/interop/qmp-spec of QEMU), read strictly: the greeting, an answer, or an event. What QEMU says is untrusted
// as far as the machine inside can have taken QEMU over: it is bounded, it is JSON without duplicates, and it has exactly a shape.

import type { Json } from '../../base/canonical.js'
import { isObject, JsonError, parseJson } from '../../base/json.js'

/** A machine with many devices says a few tens of kilobytes. */
export const MAX_LINE_BYTES = 1 << 20

export type QmpMessage =
  | { readonly kind: 'greeting'; readonly version: string }
  | { readonly kind: 'answer'; readonly id: number; readonly value: Json }
  | { readonly kind: 'error'; readonly id: number | undefined; readonly name: string; readonly say: string }
  | { readonly kind: 'event'; readonly name: string }

/** What is not QMP; the connection ends then. */
export class QmpProblem extends TypeError {
  override readonly name = 'QmpProblem'
}

type Members = Readonly<Record<string, Json | undefined>>
const members = (value: Json | undefined, what: string): Members => {
  if (!isObject(value)) throw new QmpProblem(`${what} is not an object`)
  return value
}
const text = (value: Json | undefined, what: string): string => {
  if (typeof value !== 'string') throw new QmpProblem(`${what} is not text`)
  return value
}
const count = (value: Json | undefined, what: string): number => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new QmpProblem(`${what} is not a number`)
  return value
}

/** Throws QmpProblem. */
export function readMessage(line: string): QmpMessage {
  const message = members(parse(line), 'a message')
  if (message.QMP !== undefined) {
    const version = members(members(members(message.QMP, 'QMP').version, 'version').qemu, 'qemu')
    const part = (name: string): number => count(version[name], name)
    return { kind: 'greeting', version: `${part('major')}.${part('minor')}.${part('micro')}` }
  }
  if (message.event !== undefined) return { kind: 'event', name: text(message.event, 'event') }
  const id = message.id === undefined ? undefined : count(message.id, 'id')
  if (message.error !== undefined) {
    const error = members(message.error, 'error')
    return { kind: 'error', id, name: text(error.class, 'class'), say: text(error.desc, 'desc') }
  }
  if (message.return === undefined || id === undefined) throw new QmpProblem('it is no answer, event or greeting')
  return { kind: 'answer', id, value: message.return }
}

function parse(line: string): Json {
  try {
    return parseJson(line)
  } catch (cause) {
    if (cause instanceof JsonError) throw new QmpProblem(`it is not strict JSON: ${cause.reason}`)
    throw cause
  }
}
