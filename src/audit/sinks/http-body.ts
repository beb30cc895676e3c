// What a batch looks like on its way to a receiver over HTTP: a row a format. The events themselves are copied as they stand
// in the journal, octet for octet, so that a receiver can check the chain.

import type { SinkLine } from './sink.js'

export type BodyFormat = 'ndjson' | 'splunk-hec'

export interface Body {
  readonly type: string
  /** Of the header `Authorization`. */
  readonly scheme: string
  readonly body: (lines: readonly SinkLine[], node: string) => string
}

export const BODIES: Readonly<Record<BodyFormat, Body>> = {
  ndjson: {
    type: 'application/x-ndjson',
    scheme: 'Bearer',
    body: (lines) => lines.map(({ text }) => `${text}\n`).join(''),
  },
  // Splunk, "Format events for HTTP Event Collector": one object after the other, time in seconds with milliseconds.
  'splunk-hec': {
    type: 'application/json',
    scheme: 'Splunk',
    body: (lines, node) => {
      const host = JSON.stringify(node)
      return lines
        .map(({ text }) => {
          const time = (timeOf(text) / 1_000).toFixed(3)
          return `{"time":${time},"host":${host},"source":"sluice","sourcetype":"ocsf","event":${text}}`
        })
        .join('\n')
    },
  },
}

/** Milliseconds since 1970; 0 for an event that says nothing. */
export function timeOf(text: string): number {
  const { time } = JSON.parse(text) as { readonly time?: unknown }
  return typeof time === 'number' ? time : 0
}
