// HTML from values, as a tagged template. What is put into it is text and is escaped, unless it is `Html` itself, so that a
// forgotten escape is a type that does not fit and not a hole: names of machines, commands and errors come from outside.
// Holds for text and for quoted attributes; nothing is put anywhere else.

const made: unique symbol = Symbol('html')

/** Text that is HTML already. Only this file makes it. */
export interface Html {
  readonly [made]: true
  readonly text: string
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** What HTML does not allow, or cannot be seen, is shown as its code: the direction of writing cannot be turned either. */
const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) =>
    char === '\n' || char === '\t' ? char : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  )

export const escaped = (text: string): string => visible(text).replace(/[&<>"']/g, (char) => ESCAPES[char] ?? char)

const wrap = (text: string): Html => ({ [made]: true, text })

export type Part = string | number | Html | readonly Html[] | null

const render = (part: Part): string => {
  if (part === null) return ''
  if (typeof part === 'number') return String(part)
  if (typeof part === 'string') return escaped(part)
  return 'text' in part ? part.text : part.map(({ text }) => text).join('')
}

/** `null` is nothing; a list is its members one after another. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  wrap(strings.map((text, i) => (i === 0 ? text : render(parts[i - 1] ?? null) + text)).join(''))

/**
 * A document as JSON that can stand inside a script element: no `<`, so that neither `</script` nor `<!--` can appear in it, and no
 * line separators (ECMA-404 allows both as escapes in strings, and nothing outside a string has them).
 */
export const json = (value: unknown): Html =>
  wrap(
    JSON.stringify(value).replace(
      /[<>&\u2028\u2029]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  )

/** Text that is kept in this project or in a package of the lockfile, and is no input: a style sheet or a script. */
export const verbatim = (text: string): Html => wrap(text)

/** Stands wherever a figure of software in the place of hardware appears. */
export const emulatedBadge = (emulated: boolean): Html | null =>
  emulated ? html`<span class="emulated">emulated</span>` : null
