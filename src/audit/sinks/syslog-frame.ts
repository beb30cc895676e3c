// An event as a syslog message (RFC 5424), framed for TLS by counting octets (RFC 5425 section 4.3.1). The message is the event
// as it stands in the journal: MSG-ANY, without a byte order mark, since it is JSON for programs. Pure.

import { utf8 } from '../../base/bytes.js'
import { severityIdOf, timeOf } from './http-body.js'
import type { SinkLine } from './sink.js'

export interface SyslogTerms {
  /** RFC 5424 table 1; 13 is "log audit". */
  readonly facility: number
  readonly hostname: string
}

/** RFC 5424 table 2, by OCSF's `severity_id`: Unknown and Informational, Low, Medium, High, Critical, Fatal. */
const SEVERITIES = [6, 6, 5, 4, 3, 2, 1] as const
const OTHER = 6
/** RFC 5424 section 6: printable US-ASCII, up to 255 characters. */
const NAME = /^[\x21-\x7e]{1,255}$/
/** RFC 5424 section 7.3.1: after this number it is 1 again. */
const MAX_SEQUENCE = 2_147_483_647

export function syslogMessage({ text, sequence }: SinkLine, { facility, hostname }: SyslogTerms): string {
  const priority = facility * 8 + (SEVERITIES[severityIdOf(text)] ?? OTHER)
  const time = new Date(timeOf(text)).toISOString()
  const host = NAME.test(hostname) ? hostname : '-'
  const messageId = /"class_uid":(\d{1,32}),/.exec(text)?.[1] ?? '-'
  const number = ((sequence - 1) % MAX_SEQUENCE) + 1
  return `<${priority}>1 ${time} ${host} sluice - ${messageId} [meta sequenceId="${number}"] ${text}`
}

/** MSG-LEN SP SYSLOG-MSG, one after the other. */
export function syslogFrames(lines: readonly SinkLine[], terms: SyslogTerms): Uint8Array {
  const messages = lines.map((line) => utf8(syslogMessage(line, terms)))
  const heads = messages.map(({ length }) => utf8(`${length} `))
  const out = new Uint8Array([...messages, ...heads].reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const [i, message] of messages.entries()) {
    const head = heads[i] ?? new Uint8Array()
    out.set(head, at)
    out.set(message, at + head.length)
    at += head.length + message.length
  }
  return out
}
