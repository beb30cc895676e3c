// The log of a running agent: JSON lines by pino, one for each thing that it did or found, none for a packet. Only the named
// members of a line are written, so that no key, token or file content gets there by being part of something larger.

import { pino } from 'pino'

export interface LogLine {
  readonly atMs: number
  readonly level: 'info' | 'warning' | 'error'
  readonly event: string
  readonly detail: Readonly<Record<string, string | number | null | readonly string[]>>
}

/** Words in the names of members that never go to a log, whatever they hold. */
const SECRET = /key|token|secret|password|authorization|cookie|bundle$/i
const MAX_TEXT = 2_048

/** Gives the function that writes a line. `write` gets whole lines, each with its line feed. */
export function openLog(node: string, write: (line: string) => void): (line: LogLine) => void {
  const log = pino(
    {
      base: { node },
      level: 'info',
      messageKey: 'event',
      timestamp: false,
      formatters: { level: (label) => ({ level: label === 'warn' ? 'warning' : label }) },
    },
    { write },
  )
  return ({ atMs, level, event, detail }) => {
    const shown = Object.entries(detail)
      .filter(([name]) => !SECRET.test(name))
      .map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, MAX_TEXT) : value] as const)
    log[level === 'warning' ? 'warn' : level](
      { time: new Date(atMs).toISOString(), detail: Object.fromEntries(shown) },
      event,
    )
  }
}
