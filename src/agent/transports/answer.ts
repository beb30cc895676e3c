// What an answer's status means, and a download that goes on where it broke off. A redirect is an answer like any other:
// only a transport that says so follows it.

import { type Fault, Fault as FaultClass } from '../../base/fault.js'
import { transportFault } from './errors.js'
import type { OnProgress } from './transport.js'
import type { WireAnswer, WireRequest } from './wire.js'

export type Ask = (wanted: WireRequest) => Promise<WireAnswer>

/** The fault of a status that is not one of the expected ones. */
export function statusFault(status: number, url: URL, headers: Headers): Fault {
  const { host } = url
  if (status >= 300 && status < 400)
    return transportFault('TRANSPORT_REDIRECT', { host, to: headers.get('location') ?? '' })
  if (status === 401 || status === 403) return transportFault('TRANSPORT_DENIED', { host, status })
  if (status === 404) return transportFault('TRANSPORT_NOT_FOUND', { path: url.href })
  if (status === 412 || status === 409) return transportFault('TRANSPORT_CONFLICT', { what: url.href })
  return transportFault('TRANSPORT_STATUS', { host, status })
}

export interface Download {
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly maxBytes: number
  /** For the progress line. */
  readonly what: string
  readonly onProgress?: OnProgress | undefined
  /** The octets are named by their digest: a part from earlier fits whatever comes now. */
  readonly immutable: boolean
  /** What an earlier run has kept of it. */
  readonly part?: Uint8Array | undefined
  /** Each octet as it comes, for a later run; with `reset` the part is void. */
  readonly keep?: ((chunk: Uint8Array, reset: boolean) => void) | undefined
}

/** A download is taken up again this often after the line broke. */
const ATTEMPTS = 4

/**
 * GETs the whole content. Status 200 comes back with all of the body, also when it came in parts; every other status comes
 * back as it is. Throws what the wire throws, and after a broken line only when the attempts are used up.
 */
export async function download(ask: Ask, wanted: Download): Promise<WireAnswer> {
  const parts: Uint8Array[] = wanted.part && wanted.immutable ? [wanted.part] : []
  let size = parts[0]?.length ?? 0
  let validator: string | undefined
  for (let attempt = 1; ; attempt++) {
    const from = size
    let begun = false
    const resume: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` }
    if (from > 0 && validator !== undefined) resume['if-range'] = validator
    const take: WireRequest['take'] = (chunk, { status, headers }) => {
      if (status !== 200 && status !== 206) return
      if (!begun) {
        begun = true
        if (status === 200 && size > 0) {
          parts.length = size = 0
          wanted.keep?.(new Uint8Array(0), true)
        } else if (status === 206 && !startsAt(headers, from))
          throw transportFault('TRANSPORT_PROTOCOL', { host: wanted.url.host, why: 'it sends another range' })
        validator = strongTag(headers) ?? validator
      }
      size += chunk.length
      if (size > wanted.maxBytes)
        throw transportFault('TRANSPORT_TOO_LARGE', { what: wanted.what, limit: wanted.maxBytes })
      parts.push(chunk)
      wanted.keep?.(chunk, false)
      wanted.onProgress?.({ what: wanted.what, done: size, total: totalOf(headers, size) })
    }
    try {
      const { url, maxBytes } = wanted
      const answer = await ask({ method: 'GET', url, headers: { ...wanted.headers, ...resume }, maxBytes, take })
      if (answer.status !== 200 && answer.status !== 206) return answer
      return { status: 200, headers: answer.headers, body: Buffer.concat(parts) }
    } catch (error) {
      const broken = error instanceof FaultClass && error.code === 'TRANSPORT_CUT'
      if (!broken || attempt >= ATTEMPTS) throw error
      // Without a name for what was sent, what comes next might be something else: begin again.
      if (!wanted.immutable && validator === undefined) parts.length = size = 0
    }
  }
}

const strongTag = (headers: Headers): string | undefined => {
  const tag = headers.get('etag')
  return tag !== null && isEntityTag(tag) && !tag.startsWith('W/') ? tag : undefined
}

/** RFC 9110 section 8.8.3, and short enough to keep. */
export const isEntityTag = (text: string): boolean => /^(?:W\/)?"[\x21\x23-\x7e]{0,256}"$/.test(text)

const startsAt = (headers: Headers, from: number): boolean =>
  /^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1] === String(from)

function totalOf(headers: Headers, done: number): number {
  const range = /\/(\d{1,15})$/.exec(headers.get('content-range') ?? '')?.[1]
  return Math.max(done, Number(range ?? headers.get('content-length') ?? done))
}
