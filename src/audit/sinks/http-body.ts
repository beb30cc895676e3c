// What a batch looks like on its way to a receiver over HTTP: a row a format. The events themselves are copied as they stand
// in the journal, octet for octet, so that a receiver can check the chain.

import type { SinkLine } from './sink.js'

export type BodyFormat = 'ndjson' | 'splunk-hec' | 'otlp'

export interface Body {
  readonly type: string
  /** Of the header `Authorization`. */
  readonly scheme: string
  readonly body: (lines: readonly SinkLine[], node: string) => string
  /** Why an answer with a good status is none; untrusted: `answer`. */
  readonly refusal?: (answer: string) => string | undefined
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
  // OpenTelemetry Protocol 1.5, "OTLP/HTTP" with JSON: 64-bit numbers are texts, and an answer may say that some were refused.
  otlp: {
    type: 'application/json',
    scheme: 'Bearer',
    body: (lines, node) => {
      const logRecords = lines.map(({ text, uid }) => ({
        timeUnixNano: `${timeOf(text)}000000`,
        ...severityOf(text),
        body: { stringValue: text },
        attributes: [attribute('log.record.uid', uid), attribute('event.name', 'ocsf')],
      }))
      const resource = { attributes: [attribute('service.name', 'sluice'), attribute('service.instance.id', node)] }
      return JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ scope: { name: 'sluice' }, logRecords }] }] })
    },
    refusal: (answer) => {
      const { rejectedLogRecords: count, errorMessage: why } = partialSuccess(answer)
      return Number(count) > 0 ? `${Number(count)} events rejected: ${typeof why === 'string' ? why : ''}` : undefined
    },
  },
}

const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } })

interface Partial {
  readonly rejectedLogRecords?: unknown
  readonly errorMessage?: unknown
}
function partialSuccess(answer: string): Partial {
  try {
    return (JSON.parse(answer) as { readonly partialSuccess?: Partial } | null)?.partialSuccess ?? {}
  } catch {
    // Not JSON: with a good status that is an answer that says nothing more.
    return {}
  }
}

/** OCSF's `severity_id` (Informational to Fatal) as OpenTelemetry's numbers. */
const SEVERITIES: Readonly<Record<number, readonly [number: number, text: string]>> = {
  1: [9, 'INFO'],
  2: [11, 'INFO3'],
  3: [13, 'WARN'],
  4: [17, 'ERROR'],
  5: [21, 'FATAL'],
  6: [24, 'FATAL4'],
}
function severityOf(text: string) {
  const [severityNumber, severityText] = SEVERITIES[numberIn(text, SEVERITY)] ?? [0, '']
  return { severityNumber, severityText }
}

const TIME = /"time":(\d+)[,}]/
const SEVERITY = /"severity_id":(\d+)[,}]/
/** Quotes inside a JSON text are escaped, so this is a member; our events have these at the top alone. */
const numberIn = (text: string, member: RegExp): number => Number(member.exec(text)?.[1] ?? 0)

/** Milliseconds since 1970; 0 for an event that says nothing. */
export const timeOf = (text: string): number => numberIn(text, TIME)
export const severityIdOf = (text: string): number => numberIn(text, SEVERITY)
