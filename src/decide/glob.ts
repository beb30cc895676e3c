// The glob dialects of OpenShell's request rules, compiled once into functions (sheet section 6). Two dialects: OPA's
// `glob.match` with one separator (`/` for paths and programs, `.` for queries, tools and GraphQL names), and the Rust `glob`
// crate's for the choice of a route, where `*` crosses `/`. A pattern that is malformed matches nothing and says so, since what
// that must mean differs: an allow rule then allows nothing, a deny rule denies everything that the rest of it fits.
//
// Patterns come from a signed policy, texts from the workspace: matching is by steps over both, never by backtracking over
// more than the last star of each kind.

export interface Glob {
  readonly malformed: boolean
  /** Case-sensitive. False for every text where the pattern is malformed. */
  readonly matches: (text: string) => boolean
}

/** One position: a set of characters, a run without the separator, or a run of anything. */
type Step =
  | { readonly kind: 'text'; readonly character: string }
  | { readonly kind: 'one' }
  | { readonly kind: 'set'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] }
  | { readonly kind: 'star' }
  | { readonly kind: 'super' }

/** Alternatives written out; a pattern that needs more than this is not one that a person wrote. */
const MAX_ALTERNATIVES = 256

const NEVER: Glob = { malformed: true, matches: () => false }

/** OPA's dialect: `*` and `?` stop at the separator, `**` does not; `[a-z]`, `[!a]`, `{a,b}` and `\` as everywhere. */
export function opaGlob(pattern: string, separator: '/' | '.'): Glob {
  if (!/[*?[\]{}\\]/.test(pattern)) return { malformed: false, matches: (text) => text === pattern }
  const plain = /^([^*?[\]{}\\]*)(\*\*?)$/.exec(pattern)
  if (plain) {
    const [, prefix = '', star] = plain
    const from = prefix.length
    return {
      malformed: false,
      matches:
        star === '**'
          ? (text) => text.startsWith(prefix)
          : (text) => text.startsWith(prefix) && !text.includes(separator, from),
    }
  }
  const written = alternatives(pattern)
  if (!written) return NEVER
  const forms = written.map(stepsOf)
  if (forms.some((steps) => steps === undefined)) return NEVER
  return { malformed: false, matches: (text) => forms.some((steps) => steps && walk(steps, text, separator)) }
}

/**
 * The dialect that chooses a route: `*` and `**` cross `/`, braces are text, `/v1/**` also matches `/v1`. A pattern that the
 * crate refuses matches its own text only (sheet section 6), so it is never malformed here.
 */
export function routeGlob(pattern: string): Glob {
  if (pattern === '' || pattern === '**') return { malformed: false, matches: () => true }
  if (!/[*?[\]]/.test(pattern)) return { malformed: false, matches: (text) => text === pattern }
  const forms = isRoute(pattern) ? routeForms(pattern).map(routeSteps) : [undefined]
  if (forms.some((steps) => steps === undefined)) return { malformed: false, matches: (text) => text === pattern }
  const base = pattern.endsWith('/**') ? routeGlob(pattern.slice(0, -3)) : undefined
  return {
    malformed: false,
    matches: (text) => forms.some((steps) => steps && walk(steps, text, '')) || base?.matches(text) === true,
  }
}

/** In that dialect `**` stands alone between slashes, and there is no `***`. */
const isRoute = (pattern: string): boolean =>
  pattern.split('/').every((part) => part === '**' || !part.replace(/\[[^\]]*\]/g, '').includes('**'))

/** A `**` directory may be none at all: `/a/**` + `/b` is `/a/b` too. */
function routeForms(pattern: string): string[] {
  const at = pattern.indexOf('**/')
  if (at < 0) return [pattern]
  const rest = routeForms(pattern.slice(at + 3))
  return rest.flatMap((tail) => [`${pattern.slice(0, at)}**/${tail}`, `${pattern.slice(0, at)}${tail}`])
}

const routeSteps = (pattern: string): Step[] | undefined =>
  stepsOf(pattern.replace(/[{}\\]/g, '\\$&'))?.map((step) => (step.kind === 'star' ? { kind: 'super' } : step))

/** `{a,b}` written out, nested ones too; undefined for braces that do not close and for too many. */
function alternatives(pattern: string): string[] | undefined {
  const open = find(pattern, 0, '{')
  const close = find(pattern, 0, '}')
  if (open < 0) return close < 0 ? [pattern] : undefined
  if (close >= 0 && close < open) return undefined
  const parts: string[] = []
  let depth = 0
  let from = open + 1
  for (let at = open; at < pattern.length; at++) {
    const character = pattern[at]
    if (character === '\\') at++
    else if (character === '[') at = find(pattern, at + 1, ']')
    else if (character === '{') depth++
    else if (character === ',' && depth === 1) {
      parts.push(pattern.slice(from, at))
      from = at + 1
    } else if (character === '}' && --depth === 0) {
      parts.push(pattern.slice(from, at))
      const tails = alternatives(pattern.slice(at + 1))
      const heads = parts.map((part) => alternatives(part))
      const out: string[] = []
      for (const head of heads)
        for (const one of head ?? []) for (const tail of tails ?? []) out.push(pattern.slice(0, open) + one + tail)
      return tails && heads.every((head) => head) && out.length <= MAX_ALTERNATIVES ? out : undefined
    }
    if (at < open) return undefined
  }
  return undefined
}

/** Where a character stands by itself, from a position on: not escaped and not inside a class. -1 when nowhere. */
function find(pattern: string, from: number, wanted: '{' | '}' | ']'): number {
  for (let at = from; at < pattern.length; at++) {
    if (pattern[at] === '\\') at++
    else if (pattern[at] === wanted) return at
    else if (pattern[at] === '[' && wanted !== ']') {
      at = find(pattern, at + 1, ']')
      if (at < 0) return -1
    }
  }
  return -1
}

function stepsOf(pattern: string): Step[] | undefined {
  const steps: Step[] = []
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? ''
    if (character === '\\') {
      const escaped = pattern[++at]
      if (escaped === undefined) return undefined
      steps.push({ kind: 'text', character: escaped })
    } else if (character === '*') {
      const isSuper = pattern[at + 1] === '*'
      if (isSuper) at++
      steps.push({ kind: isSuper ? 'super' : 'star' })
    } else if (character === '?') steps.push({ kind: 'one' })
    else if (character === ']') return undefined
    else if (character === '[') {
      const end = find(pattern, at + 1, ']')
      const set = end < 0 ? undefined : setOf(pattern.slice(at + 1, end))
      if (!set) return undefined
      steps.push(set)
      at = end
    } else steps.push({ kind: 'text', character })
  }
  return steps
}

function setOf(inside: string): Step | undefined {
  const negated = inside.startsWith('!')
  const members = negated ? inside.slice(1) : inside
  const ranges: [string, string][] = []
  for (let at = 0; at < members.length; at++) {
    const low = members[at] ?? ''
    const high = members[at + 1] === '-' ? members[at + 2] : undefined
    if (high !== undefined) at += 2
    if (high !== undefined && high < low) return undefined
    ranges.push([low, high ?? low])
  }
  return ranges.length === 0 ? undefined : { kind: 'set', negated, ranges }
}

/**
 * Whether the steps take the whole text. The shortest run of the last star is enough: a later one could only leave less. When
 * a star meets its separator, the last `**` takes one character more.
 */
function walk(steps: readonly Step[], text: string, separator: string): boolean {
  let step = 0
  let at = 0
  let star = -1
  let starAt = 0
  let wide = -1
  let wideAt = 0
  for (;;) {
    const now = steps[step]
    if (now === undefined && at === text.length) return true
    if (now?.kind === 'super') {
      wide = step++
      wideAt = at
      star = -1
      continue
    }
    if (now?.kind === 'star') {
      star = step++
      starAt = at
      continue
    }
    if (now !== undefined && at < text.length && takes(now, text[at] ?? '', separator)) {
      step++
      at++
    } else if (star >= 0 && starAt < text.length && text[starAt] !== separator) {
      step = star + 1
      at = ++starAt
    } else if (wide >= 0 && wideAt < text.length) {
      star = -1
      step = wide + 1
      at = ++wideAt
    } else return false
  }
}

function takes(step: Step, character: string, separator: string): boolean {
  switch (step.kind) {
    case 'text':
      return step.character === character
    case 'one':
      return character !== separator
    case 'set':
      return step.ranges.some(([low, high]) => low <= character && character <= high) !== step.negated
    case 'star':
    case 'super':
      return false
  }
}
