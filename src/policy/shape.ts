// Reads a YAML tree by a table: for each object the keys and how each value is read. Everything the schema does not have is
// a finding with its place and, for a misspelling, the nearest right word; nothing is converted and nothing is defaulted
// here. A value that cannot be read is left out of the result but counts as present, so that one mistake is one finding.

import { quote } from '../base/quote.js'
import { nearest } from '../base/suggest.js'
import { joinPath, type YamlEntry, type YamlNode } from '../base/yaml.js'
import type { PolicyCode } from './codes.js'
import type { Findings, Spot } from './findings.js'

export type Read<T> = (node: YamlNode, spot: Spot, findings: Findings) => T | undefined

export type Shape = Readonly<Record<string, Read<unknown>>>
export type Values<S extends Shape> = { readonly [K in keyof S]?: S[K] extends Read<infer T> ? T : never }

/** One object as read: its values, and where its keys stand. */
export interface Found<S extends Shape> {
  readonly at: Spot
  readonly of: Values<S>
  /** The key is in the text, whether or not its value could be read. */
  has(key: keyof S & string): boolean
  /** The place of the key, or of the object when the key is absent. */
  spot(key: keyof S & string): Spot
}

/** A value with its place. */
export interface Located<T> {
  readonly value: T
  readonly at: Spot
}

const TYPE_NAMES = {
  string: 'a string',
  int: 'an integer',
  float: 'a number with a fraction',
  bool: 'a boolean',
  null: 'nothing',
} as const

/** What a node is, for messages: `an integer (443)`. */
export function describe(node: YamlNode): string {
  if (node.kind === 'map') return 'a mapping'
  if (node.kind === 'seq') return 'a list'
  return node.type === 'null' ? 'nothing' : `${TYPE_NAMES[node.type]} (${quote(node.source)})`
}

export function badType(expected: string, node: YamlNode, spot: Spot, findings: Findings): undefined {
  const quotes = expected === 'a string' && node.kind === 'scalar' && node.type !== 'null'
  findings.note(
    'bad-type',
    spot,
    `expected ${expected}, found ${describe(node)}${quotes ? '; put it in quotes if that text is meant' : ''}`,
  )
}

export const text: Read<string> = (node, spot, findings) =>
  node.kind === 'scalar' && typeof node.value === 'string' ? node.value : badType('a string', node, spot, findings)

export const located: Read<Located<string>> = (node, spot, findings) => {
  const value = text(node, spot, findings)
  return value === undefined ? undefined : { value, at: spot }
}

export const flag: Read<boolean> = (node, spot, findings) =>
  node.kind === 'scalar' && typeof node.value === 'boolean'
    ? node.value
    : badType('true or false', node, spot, findings)

/** An integer within bounds; outside them the finding has `code`. */
export const integer =
  (min: number, max: number, code: PolicyCode = 'out-of-range'): Read<number> =>
  (node, spot, findings) => {
    if (node.kind !== 'scalar' || typeof node.value !== 'bigint') return badType('an integer', node, spot, findings)
    // Readers do not agree on a leading zero: octal, decimal or text (trap 7).
    if (/^[-+]?0\d/.test(node.source)) return badType('an integer without leading zeros', node, spot, findings)
    if (node.value >= BigInt(min) && node.value <= BigInt(max)) return Number(node.value)
    findings.note(code, spot, `${quote(node.source)} is out of range; expected ${min} to ${max}`)
    return undefined
  }

/** One of a closed list of words; `''` counts as the key being absent. */
export const word =
  <const W extends string>(words: readonly W[], code: PolicyCode, key: string): Read<W | ''> =>
  (node, spot, findings) => {
    const value = text(node, spot, findings)
    if (value === undefined || value === '' || words.includes(value as W)) return value as W | '' | undefined
    unknownWord(value, words, code, key, spot, findings)
    return undefined
  }

export function unknownWord(
  value: string,
  words: readonly string[],
  code: PolicyCode,
  key: string,
  spot: Spot,
  findings: Findings,
): void {
  const meant = nearest(value, words)
  const rest = meant === undefined ? `it is one of ${words.join(', ')}` : `did you mean ${quote(meant)}?`
  findings.note(code, spot, `${key} does not take ${quote(value)}; ${rest}`, meant)
}

/** A list; items that cannot be read are left out. When none can, the list itself counts as unreadable, not as empty. */
export const listOf =
  <T>(read: Read<T>): Read<readonly T[]> =>
  (node, spot, findings) => {
    if (node.kind !== 'seq') return badType('a list', node, spot, findings)
    const items: T[] = []
    for (const [i, item] of node.items.entries()) {
      const at = { line: item.line, column: item.column, path: `${spot.path}[${i}]` }
      const value = read(item, at, findings)
      if (value !== undefined) items.push(value)
    }
    return items.length === 0 && node.items.length > 0 ? undefined : items
  }

export interface Named<T> {
  readonly key: string
  readonly at: Spot
  readonly value: T
}

/** A mapping from free names, in the order of the text. */
export const mapOf =
  <T>(read: Read<T>): Read<readonly Named<T>[]> =>
  (node, spot, findings) => {
    if (node.kind !== 'map') return badType('a mapping', node, spot, findings)
    const out: Named<T>[] = []
    for (const entry of node.entries) {
      const at = keySpot(entry, spot.path)
      const value = read(entry.value, valueSpot(entry, at), findings)
      if (value !== undefined) out.push({ key: entry.key, at, value })
    }
    return out
  }

export const anything: Read<YamlNode> = (node) => node

export interface ObjectOptions {
  /** What this object is called in messages: `an endpoint`. */
  readonly what: string
  readonly required?: readonly string[]
  /** Answers for keys that people write here and that mean something elsewhere; the sentence after "unknown key". */
  readonly hints?: Readonly<Record<string, string>>
}

export const object =
  <S extends Shape>(shape: S, options: ObjectOptions): Read<Found<S>> =>
  (node, spot, findings) => {
    if (node.kind !== 'map') return badType(`a mapping (${options.what})`, node, spot, findings)
    const values: Record<string, unknown> = Object.create(null) as Record<string, unknown>
    const spots = new Map<string, Spot>()
    const misspelt: { readonly entry: YamlEntry; readonly at: Spot; readonly meant: string }[] = []
    for (const entry of node.entries) {
      const at = keySpot(entry, spot.path)
      const read = Object.hasOwn(shape, entry.key) ? shape[entry.key] : undefined
      if (read) {
        values[entry.key] = read(entry.value, valueSpot(entry, at), findings)
        spots.set(entry.key, at)
      } else {
        const meant = unknownKey(entry.key, Object.keys(shape), options, at, findings)
        if (meant !== undefined) misspelt.push({ entry, at, meant })
      }
    }
    // A misspelt key is one finding, and what stands under it is read as what was meant: all findings come at once.
    for (const { entry, at, meant } of misspelt) {
      const read = shape[meant]
      if (!read || spots.has(meant)) continue
      values[meant] = read(entry.value, valueSpot(entry, at), findings)
      spots.set(meant, at)
    }
    for (const key of options.required ?? [])
      if (!spots.has(key)) findings.note('missing-key', spot, `${options.what} needs the key ${quote(key)}`)
    return {
      at: spot,
      of: values as Values<S>,
      has: (key) => spots.has(key),
      spot: (key) => spots.get(key) ?? spot,
    }
  }

/** Notes the key and returns the one that was probably meant. */
export function unknownKey(
  key: string,
  known: readonly string[],
  options: ObjectOptions,
  at: Spot,
  findings: Findings,
): string | undefined {
  const hints = options.hints
  const hint = hints && Object.hasOwn(hints, key) ? hints[key] : undefined
  const meant = hint === undefined ? nearest(key, known) : undefined
  const rest =
    hint ?? (meant === undefined ? `${options.what} takes ${known.join(', ')}` : `did you mean ${quote(meant)}?`)
  findings.note('unknown-key', at, `unknown key ${quote(key)}; ${rest}`, meant)
  return meant
}

const keySpot = (entry: YamlEntry, path: string): Spot => ({ ...entry.at, path: joinPath(path, entry.key) })

/** The value's own place; an absent value stands where its key does. */
const valueSpot = (entry: YamlEntry, at: Spot): Spot => ({
  line: entry.value.line,
  column: entry.value.column,
  path: at.path,
})
