// The sink `http`: batches by POST, as lines of JSON (NDJSON) or in the shape of Splunk's HTTP Event Collector. TLS checks the
// receiver's name against the system's authorities or a CA file; clear text goes to this machine only. What an answer means
// is the table below; redirects are not followed, since a token must not go where somebody else says.

import { readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { sinkFault } from './errors.js'
import { BODIES, type BodyFormat } from './http-body.js'
import type { Sink, SinkLine } from './sink.js'

export interface HttpSinkTerms {
  readonly name: string
  readonly url: string
  readonly format: BodyFormat
  /** Its content goes into the header `Authorization`; read again for every batch. */
  readonly tokenFile?: string
  /** Instead of the system's authorities. */
  readonly caFile?: string
  /** Of this node, where the receiver asks for one. */
  readonly certificateFile?: string
  readonly keyFile?: string
  readonly gzip: boolean
  /** As events name the node. */
  readonly node: string
}

const compress = promisify(gzip)
const MAX_ANSWER_BYTES = 64 << 10
const SAID = 200

/** Fails with the system's error when a file cannot be read; connects with the first batch. */
export async function openHttpSink(terms: HttpSinkTerms): Promise<Sink> {
  const url = new URL(terms.url)
  const clear = url.protocol === 'http:'
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
  const [ca, cert, key] = [read(terms.caFile), read(terms.certificateFile), read(terms.keyFile)]
  const kept = { keepAlive: true, maxSockets: 1 }
  const agent = clear
    ? new Agent(kept)
    : new TlsAgent({
        ...kept,
        minVersion: 'TLSv1.2',
        ...(ca ? { ca } : {}),
        ...(cert && key ? { cert, key } : {}),
      })
  return {
    deliver: async (lines, signal) => {
      const body = await bodyOf(terms, lines)
      const headers = headersOf(terms, body.length)
      const ask = clear ? request : tlsRequest
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const asked = ask(url, { method: 'POST', agent, headers, signal }, resolve)
        asked.on('error', reject)
        asked.end(body)
      })
      judge(terms, answer, await textOf(answer))
    },
    close: () => {
      agent.destroy()
      return Promise.resolve()
    },
  }
}

async function bodyOf(terms: HttpSinkTerms, lines: readonly SinkLine[]): Promise<Buffer> {
  const plain = Buffer.from(BODIES[terms.format].body(lines, terms.node))
  return terms.gzip ? compress(plain) : plain
}

function headersOf(
  { format, tokenFile, gzip: zipped }: HttpSinkTerms,
  length: number,
): Record<string, string | number> {
  const { type, scheme } = BODIES[format]
  const token = tokenFile === undefined ? undefined : readFileSync(tokenFile, 'utf8').trim()
  return {
    'content-type': type,
    'content-length': length,
    ...(zipped ? { 'content-encoding': 'gzip' } : {}),
    ...(token === undefined ? {} : { authorization: `${scheme} ${token}` }),
  }
}

// untrusted: the answer
async function textOf(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) {
    text += chunk as string
    if (text.length > MAX_ANSWER_BYTES) {
      answer.destroy()
      break
    }
  }
  return text
}

/** Of these another try of the same events makes nothing better; what concerns token, place or load may pass. */
const REFUSALS: ReadonlySet<number> = new Set([400, 413, 415, 422])

function judge({ name: sink, format }: HttpSinkTerms, answer: IncomingMessage, text: string): void {
  const { statusCode = 0, headers } = answer
  if (statusCode >= 200 && statusCode < 300) {
    const why = BODIES[format].refusal?.(text)
    if (why === undefined) return
    throw sinkFault('AUDIT_SINK_REFUSED', { sink, why: plain(why) })
  }
  const said = plain(text)
  const why = `HTTP ${statusCode}${said === '' ? '' : `: ${said}`}`
  if (REFUSALS.has(statusCode)) throw sinkFault('AUDIT_SINK_REFUSED', { sink, why })
  const seconds = Number(headers['retry-after'])
  const afterMs = seconds > 0 ? { afterMs: seconds * 1_000 } : {}
  throw sinkFault('AUDIT_SINK_UNAVAILABLE', { sink, why, ...afterMs })
}

/** One line of what the receiver said. */
const plain = (text: string): string =>
  text
    .slice(0, SAID)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
