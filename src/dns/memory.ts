// What the mediator remembers across restarts, as one JSON document: what was learnt, with absolute expiry, and the names that
// were charged to budgets. It belongs to one boot of the machine: after another the kernel holds nothing of it, so what was
// learnt counts for nothing (budgets do). A document that does not read back exactly is nothing, and the reader is told why;
// nothing is opened by it either way (requirement 15 of the egress sheet).

import type { Json } from '../base/canonical.js'
import { parseIp } from '../base/ip.js'
import { isObject, parseJson } from '../base/json.js'
import type { Spent } from './budget.js'
import type { Held } from './ledger.js'
import { canonicalName } from './names.js'

export const MEMORY_FORMAT = 'sluice-names/1'

export interface Memory {
  /** The kernel's boot id. */
  readonly boot: string
  readonly held: readonly { readonly workspace: string; readonly held: readonly Held[] }[]
  readonly spent: readonly Spent[]
}

export interface Recalled {
  readonly held: Memory['held']
  readonly spent: readonly Spent[]
  /** Why what was learnt is not there, or nothing is; undefined when all was read. */
  readonly lost?: string
}

const NOTHING = { held: [], spent: [] } as const

export const encodeMemory = (memory: Memory): string => `${JSON.stringify({ format: MEMORY_FORMAT, ...memory })}\n`

/** `text` undefined: there is no file, which is a first start. untrusted: the text. */
export function recall(text: string | undefined, boot: string): Recalled {
  if (text === undefined) return NOTHING
  let value: Json
  try {
    value = parseJson(text)
  } catch {
    return { ...NOTHING, lost: 'it is not JSON' }
  }
  if (!isObject(value) || value.format !== MEMORY_FORMAT) return { ...NOTHING, lost: 'it has another format' }
  const { held, spent } = value
  if (!isList<Memory['held'][number]>(held, isShelf) || !isList<Spent>(spent, isSpent))
    return { ...NOTHING, lost: 'it is damaged' }
  if (value.boot !== boot)
    return { held: [], spent, ...(held.length > 0 ? { lost: 'the machine was started anew' } : {}) }
  return { held, spent }
}

type Value = Json | undefined
const isList = <T>(value: Value, item: (one: Value) => boolean): value is T[] & Json =>
  Array.isArray(value) && (value as Json[]).every((one) => item(one))
const isText = (value: Value): value is string => typeof value === 'string'
const isName = (value: Value): boolean => isText(value) && canonicalName(value) === value

const isSpent = (value: Value): boolean =>
  isObject(value) && isText(value.workspace) && isText(value.key) && isList(value.names, isName)

const isShelf = (value: Value): boolean => isObject(value) && isText(value.workspace) && isList(value.held, isHeld)

const isHeld = (value: Value): boolean =>
  isObject(value) &&
  isName(value.name) &&
  isText(value.address) &&
  parseIp(value.address) !== undefined &&
  Number.isFinite(value.expiresAtMs) &&
  Number.isInteger(value.generation) &&
  isList(value.opens, isOpening)

const isOpening = (value: Value): boolean =>
  isObject(value) &&
  isText(value.clause) &&
  /^sha256:[0-9a-f]{64}$/.test(value.clause) &&
  (value.protocol === 'tcp' || value.protocol === 'udp') &&
  Number.isInteger(value.port) &&
  Number(value.port) >= 1 &&
  Number(value.port) <= 65535
