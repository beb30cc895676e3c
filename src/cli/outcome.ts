// What every command gives back: one value for machines, one text for people, and the exit code. The frame around the
// commands (main.ts) prints one of the two; no command prints by itself.

export interface Outcome {
  /** Printed as one JSON document with --json; bigints become decimal text. */
  readonly json: unknown
  readonly text: string
  /** Findings and warnings for people, on the error output; never with --json. */
  readonly remarks?: string
  /** The command printed as it went along: with --json nothing follows. */
  readonly streamed?: true
  /** 0 when absent. */
  readonly exit?: number
}

/** Exit code of wrong usage (sysexits EX_USAGE). */
export const EX_USAGE = 64

/** Keys in the order in which they were written, two spaces deep, one line feed at the end. */
export const printJson = (value: unknown): string =>
  `${JSON.stringify(
    value,
    (_key, member: unknown) => {
      if (typeof member === 'bigint') return String(member)
      if (member instanceof Map) return Object.fromEntries(member) as unknown
      return member
    },
    2,
  )}\n`
