// Strict JSON (RFC 8259, I-JSON of RFC 7493): one value, no duplicate keys at any depth, no lone surrogates, integers
// that a double can hold, no `-0`, bounded depth. JSON.parse keeps the last duplicate, rounds 2^53+1 and turns 1e400
// into Infinity, so signed JSON never goes through it alone.
//
// Objects come back with a null prototype: a key called `__proto__` or `constructor` is only a key.

import type { Json } from './canonical.js'
import { LIMITS } from './limits.js'

/** Where and why a text is not strict JSON. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  constructor(
    readonly line: number,
    readonly column: number,
    readonly path: string,
    readonly reason: string,
  ) {
    super(`${reason} at line ${line} column ${column}${path === '' ? '' : ` (${path})`}`)
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 section 7 forbids exactly these in a string.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SPACE = /[ \t\n\r]*/y

class Reader {
  private at = 0
  /** Where the value under way stands; made into a text only for an error. */
  private readonly trail: (string | number)[] = []

  constructor(private readonly text: string) {}

  document(): Json {
    const value = this.value()
    this.space()
    if (this.at < this.text.length) this.fail('trailing characters after the value')
    return value
  }

  private fail(reason: string): never {
    const before = this.text.slice(0, this.at).split('\n')
    const path = this.trail.reduce<string>(
      (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
      '',
    )
    throw new JsonError(before.length, (before.at(-1)?.length ?? 0) + 1, path, reason)
  }

  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (!match) return undefined
    this.at = pattern.lastIndex
    return match[0]
  }

  private space(): void {
    this.take(SPACE)
  }

  private literal(word: string): void {
    if (!this.text.startsWith(word, this.at)) this.fail('not a JSON value')
    this.at += word.length
  }

  private value(): Json {
    if (this.trail.length > LIMITS.documentDepth) this.fail(`nested deeper than ${LIMITS.documentDepth}`)
    this.space()
    switch (this.text[this.at]) {
      case '{':
        return this.object()
      case '[':
        return this.array()
      case '"':
        return this.string()
      case 't':
        this.literal('true')
        return true
      case 'f':
        this.literal('false')
        return false
      case 'n':
        this.literal('null')
        return null
      default:
        return this.number()
    }
  }

  private number(): number {
    const start = this.at
    const text = this.take(NUMBER)
    if (text === undefined) this.fail(start >= this.text.length ? 'the text ends too early' : 'not a JSON value')
    const value = Number(text)
    // A number with a fraction or an exponent is a double and says so; one without is an integer, and must survive as one.
    const rounded = !/[.eE]/.test(text) && !Number.isSafeInteger(value)
    if (!Number.isFinite(value) || Object.is(value, -0) || rounded) {
      this.at = start
      this.fail('number cannot be held exactly (integers go to 2^53-1; write larger ones as strings)')
    }
    return value
  }

  private string(): string {
    const start = this.at
    const text = this.take(STRING)
    if (text === undefined) this.fail('string is not closed, or holds a control character or a bad escape')
    const value = JSON.parse(text) as string
    if (/\p{Surrogate}/u.test(value)) {
      this.at = start
      this.fail('string holds a lone surrogate')
    }
    return value
  }

  /** The value of a member or an item, at its place. */
  private inside(step: string | number): Json {
    this.trail.push(step)
    const value = this.value()
    this.trail.pop()
    return value
  }

  private array(): Json[] {
    const out: Json[] = []
    this.at++
    this.space()
    if (this.text[this.at] === ']') {
      this.at++
      return out
    }
    for (;;) {
      out.push(this.inside(out.length))
      this.space()
      const next = this.text[this.at]
      if (next !== ',' && next !== ']') this.fail('expected "," or "]"')
      this.at++
      if (next === ']') return out
    }
  }

  private object(): Json {
    const out = Object.create(null) as Record<string, Json>
    this.at++
    this.space()
    if (this.text[this.at] === '}') {
      this.at++
      return out
    }
    for (;;) {
      this.space()
      if (this.text[this.at] !== '"') this.fail('expected a member name in double quotes')
      const start = this.at
      const key = this.string()
      this.trail.push(key)
      if (Object.hasOwn(out, key)) {
        this.at = start
        this.fail('duplicate key')
      }
      this.space()
      if (this.text[this.at] !== ':') this.fail('expected ":"')
      this.at++
      out[key] = this.value()
      this.trail.pop()
      this.space()
      const next = this.text[this.at]
      if (next !== ',' && next !== '}') this.fail('expected "," or "}"')
      this.at++
      if (next === '}') return out
    }
  }
}

/** Parses strict JSON. Throws JsonError, with line, column and path, for anything else. The caller bounds the length. */
export const parseJson = (text: string): Json => new Reader(text).document()

/** A plain object, as opposed to an array or a primitive. */
export const isObject = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
