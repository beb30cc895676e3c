// Untrusted text in messages, logs and events: quoted, bounded, and without control characters.

/** Double-quoted; control, format and separator characters become escapes; cut at `maxLength` characters with a count. */
export function quote(text: string, maxLength = 80): string {
  const shown = text.length > maxLength ? text.slice(0, maxLength) : text
  const safe = shown.replace(/["\\]|\p{C}|\p{Zl}|\p{Zp}/gu, (character) =>
    character === '"' || character === '\\' ? `\\${character}` : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
  return text.length > maxLength ? `"${safe}" (${text.length} characters)` : `"${safe}"`
}
