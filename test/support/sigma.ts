// Reads and applies the part of Sigma (specification 2.1.0) that the rules of deploy/siem use: maps and lists of maps, values and
// lists of values, wildcards, the modifier `exists`, and conditions of `and`, `or`, `not`, parentheses and `1 of` or `all of` a
// pattern. Whatever else a rule has is refused, so that no rule passes by not being understood.

import { parse } from 'yaml'

type Scalar = string | number | boolean
type Search = { readonly [field: string]: Scalar | readonly Scalar[] }
export interface SigmaRule {
  readonly title: string
  readonly id: string
  readonly status: string
  readonly description: string
  readonly license: string
  readonly references: readonly string[]
  readonly author: string
  readonly date: string
  readonly tags: readonly string[]
  readonly logsource: { readonly [key: string]: string }
  readonly detection: { readonly condition: string } & { readonly [name: string]: string | Search | readonly Search[] }
  readonly fields: readonly string[]
  readonly falsepositives: readonly string[]
  readonly level: string
}

export const readRule = (text: string): SigmaRule => parse(text) as SigmaRule

/** Throws for what is not understood. */
export function compile(rule: SigmaRule): (event: unknown) => boolean {
  const { condition, ...searches } = rule.detection
  const names = Object.keys(searches)
  const parser = new Conditions(condition, names)
  const judge = parser.all()
  const unused = names.filter((name) => !parser.used.has(name))
  if (unused.length > 0) throw new TypeError(`no condition uses ${unused.join(', ')}`)
  const tests = new Map(names.map((name) => [name, searchOf(searches[name])]))
  return (event) => judge((name) => tests.get(name)?.(event) ?? false)
}

type Test = (event: unknown) => boolean
type Judge = (holds: (name: string) => boolean) => boolean

function searchOf(search: unknown): Test {
  if (Array.isArray(search)) {
    const any = search.map(searchOf)
    return (event) => any.some((one) => one(event))
  }
  if (typeof search !== 'object' || search === null) throw new TypeError('a search is a map or a list of maps')
  const all = Object.entries(search).map(([key, value]) => fieldOf(key, value))
  return (event) => all.every((one) => one(event))
}

function fieldOf(key: string, wanted: unknown): Test {
  const [path = '', modifier, ...more] = key.split('|')
  if (more.length > 0 || (modifier !== undefined && modifier !== 'exists')) throw new TypeError(`modifiers of ${key}`)
  const at = path.split('.')
  if (modifier === 'exists') return (event) => valuesAt(event, at).length > 0 === wanted
  const any = (Array.isArray(wanted) ? wanted : [wanted]).map(matching)
  return (event) => valuesAt(event, at).some((value) => any.some((one) => one(value)))
}

/** Text is compared without regard to case, and `*` and `?` stand for others (specification, "String Wildcard"). */
function matching(wanted: unknown): (value: unknown) => boolean {
  if (typeof wanted === 'number' || typeof wanted === 'boolean') return (value) => value === wanted
  if (typeof wanted !== 'string') throw new TypeError(`a value that is ${typeof wanted}`)
  const literal = wanted
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  const pattern = new RegExp(`^${literal}$`, 'is')
  return (value) => typeof value === 'string' && pattern.test(value)
}

/** Lists are looked through: any of their elements counts. */
function valuesAt(value: unknown, path: readonly string[]): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((one) => valuesAt(one, path))
  const [key, ...rest] = path
  if (key === undefined) return value === undefined ? [] : [value]
  if (typeof value !== 'object' || value === null) return []
  return valuesAt((value as { readonly [name: string]: unknown })[key], rest)
}

class Conditions {
  readonly used = new Set<string>()
  private readonly words: string[]

  constructor(
    text: string,
    private readonly names: readonly string[],
  ) {
    this.words = text.match(/[()]|[^\s()]+/g) ?? []
  }

  all(): Judge {
    const judge = this.either()
    if (this.words.length > 0) throw new TypeError(`a condition that goes on with ${this.words.join(' ')}`)
    return judge
  }

  private either(): Judge {
    const sides = [this.both()]
    while (this.take('or')) sides.push(this.both())
    return (holds) => sides.some((side) => side(holds))
  }

  private both(): Judge {
    const sides = [this.one()]
    while (this.take('and')) sides.push(this.one())
    return (holds) => sides.every((side) => side(holds))
  }

  private one(): Judge {
    if (this.take('not')) {
      const inner = this.one()
      return (holds) => !inner(holds)
    }
    if (this.take('(')) {
      const inner = this.either()
      if (!this.take(')')) throw new TypeError('a parenthesis that is not closed')
      return inner
    }
    const word = this.words.shift() ?? ''
    if ((word === '1' || word === 'all') && this.take('of')) return this.some(word, this.words.shift() ?? '')
    if (!this.names.includes(word)) throw new TypeError(`no search is named ${word}`)
    this.used.add(word)
    return (holds) => holds(word)
  }

  private some(quantity: '1' | 'all', pattern: string): Judge {
    const found = this.names.filter((name) => matching(pattern === 'them' ? '*' : pattern)(name))
    if (found.length === 0) throw new TypeError(`no search is named like ${pattern}`)
    for (const name of found) this.used.add(name)
    return (holds) => (quantity === '1' ? found.some(holds) : found.every(holds))
  }

  private take(word: string): boolean {
    if (this.words[0] !== word) return false
    this.words.shift()
    return true
  }
}
