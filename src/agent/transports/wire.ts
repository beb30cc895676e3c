// One HTTPS exchange under every limit: octets are counted before anything is done with them, connecting, silence and the
// whole take bounded time, and a body that drips is cut off. Never plain HTTP, never another encoding, no cookies, no proxy.
//
// The server must chain to the given CA file, or to the system's, and when there are pins one of the chain's own keys must
// be the pinned one: SHA-256 of the leaf's SubjectPublicKeyInfo (RFC 7469 section 2.4).

import { createHash, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { Fault } from '../../base/fault.js'
import { transportFault } from './errors.js'
import { DEADLINES, type Deadlines } from './transport.js'

export interface WireTrust {
  /** PEM; replaces the system's CAs. */
  readonly ca?: string
  /** Base64 of SHA-256 of the leaf's SubjectPublicKeyInfo; any of them. */
  readonly pins?: readonly string[]
}
export interface WireRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH'
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Most octets of an answer that are taken. */
  readonly maxBytes: number
  /** Of the body as it comes in; what was taken stays with the caller when the rest never comes. */
  readonly take?: (chunk: Uint8Array, answer: { readonly status: number; readonly headers: Headers }) => void
}
export interface WireAnswer {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array
}

/** Connections of one source; `close` ends them. */
export class Wire {
  private readonly agent: Agent
  private endsAtMs = Number.POSITIVE_INFINITY

  constructor(
    private readonly trust: WireTrust,
    private readonly deadlines: Deadlines = DEADLINES,
  ) {
    this.agent = new Agent({ keepAlive: true, maxSockets: 4, maxCachedSessions: 0 })
  }

  close(): void {
    this.agent.destroy()
  }

  /** From here all exchanges together have this time: for fetching, as much as one has. */
  begin(togetherMs = this.deadlines.totalMs): void {
    this.endsAtMs = performance.now() + togetherMs
  }

  /**
   * Sends and reads the whole answer, whatever its status. Throws TRANSPORT_UNREACHABLE, TRANSPORT_TLS, TRANSPORT_DEADLINE,
   * TRANSPORT_TOO_SLOW, TRANSPORT_TOO_LARGE, TRANSPORT_PROTOCOL, TRANSPORT_CUT.
   */
  async exchange(wanted: WireRequest): Promise<WireAnswer> {
    const { url } = wanted
    const { host } = url
    const { deadlines } = this
    if (url.protocol !== 'https:' || url.username !== '' || url.password !== '')
      throw transportFault('TRANSPORT_SOURCE', { source: url.href, why: 'only https without a password in it is used' })
    return await new Promise((resolve, reject) => {
      let size = 0
      let settled = false
      const timers = new Set<NodeJS.Timeout>()
      const finish = (act: () => void) => {
        if (settled) return
        settled = true
        for (const timer of timers) clearTimeout(timer)
        sent.socket?.off('drain', progress)
        act()
      }
      const fail = (error: Error) =>
        finish(() => {
          reject(error)
          sent.destroy()
        })
      const expire = (what: 'connect' | 'idle' | 'total', limitMs: number, inMs = limitMs): NodeJS.Timeout => {
        const timer = setTimeout(() => fail(transportFault('TRANSPORT_DEADLINE', { host, what, limitMs })), inMs)
        timers.add(timer)
        return timer
      }
      const options = {
        agent: this.agent,
        method: wanted.method,
        headers: { ...wanted.headers, ...lengthOf(wanted.body) },
        checkServerIdentity: (name: string, certificate: PeerCertificate) => this.identify(name, certificate),
        ...(this.trust.ca === undefined ? {} : { ca: this.trust.ca }),
        minVersion: 'TLSv1.2' as const,
      }
      const sent = request(url, options, (answer) => {
        idle.refresh()
        const headers = headersOf(answer)
        const refusal = refuseHead(wanted, headers)
        if (refusal !== undefined) return fail(refusal)
        const status = answer.statusCode ?? 0
        const chunks: Uint8Array[] = []
        const startedMs = performance.now()
        answer.on('data', (chunk: Uint8Array) => {
          idle.refresh()
          size += chunk.length
          if (size > wanted.maxBytes)
            return fail(
              transportFault('TRANSPORT_TOO_LARGE', { what: `the answer of ${host}`, limit: wanted.maxBytes }),
            )
          const spentMs = performance.now() - startedMs
          const rate = Math.round((size * 1000) / spentMs)
          const limit = deadlines.minBytesPerSecond
          if (spentMs > deadlines.rateGraceMs && rate < limit)
            return fail(transportFault('TRANSPORT_TOO_SLOW', { host, rate, limit }))
          if (wanted.take === undefined) {
            chunks.push(chunk)
            return undefined
          }
          try {
            wanted.take(chunk, { status, headers })
          } catch (error) {
            fail(error as Error)
          }
          return undefined
        })
        answer.on('end', () => {
          if (answer.complete) finish(() => resolve({ status, headers, body: Buffer.concat(chunks) }))
          else fail(transportFault('TRANSPORT_CUT', { host, size }))
        })
        answer.on('error', (cause) => fail(transportFault('TRANSPORT_CUT', { host, size }, { cause })))
        return undefined
      })
      const leftMs = Math.max(0, this.endsAtMs - performance.now())
      expire('total', deadlines.totalMs, Math.min(deadlines.totalMs, leftMs))
      const idle = expire('idle', deadlines.idleMs)
      const connecting = expire('connect', deadlines.connectMs)
      const progress = () => idle.refresh()
      sent.on('socket', (socket) => {
        const connected = () => clearTimeout(connecting)
        if (socket.connecting) socket.once('secureConnect', connected)
        else connected()
        // Octets that the server takes are progress, too: an upload is not idle.
        socket.on('drain', progress)
      })
      sent.on('error', (cause) => fail(cause instanceof Fault ? cause : linkFault(host, size, cause)))
      sent.end(wanted.body === undefined ? undefined : Buffer.from(wanted.body))
    })
  }

  /** Node's own check of the name, and then the pins. */
  private identify(name: string, certificate: PeerCertificate): Error | undefined {
    const mismatch = checkServerIdentity(name, certificate)
    if (mismatch) return transportFault('TRANSPORT_TLS', { host: name, why: 'the certificate is for another name' })
    const { pins = [] } = this.trust
    if (pins.length === 0) return undefined
    return pins.includes(spkiPin(certificate.raw))
      ? undefined
      : transportFault('TRANSPORT_TLS', { host: name, why: 'its key is none of the pinned ones' })
  }
}

/** The pin of a certificate, DER or PEM: base64 of SHA-256 of its SubjectPublicKeyInfo. */
export const spkiPin = (certificate: Uint8Array | string): string =>
  createHash('sha256')
    .update(new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')

const lengthOf = (body: Uint8Array | undefined): Record<string, string> =>
  body === undefined ? {} : { 'content-length': String(body.length) }

function headersOf(answer: IncomingMessage): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(answer.headers))
    for (const one of Array.isArray(value) ? value : [value ?? '']) headers.append(name, one)
  return headers
}

function refuseHead({ method, maxBytes, url: { host } }: WireRequest, headers: Headers): Fault | undefined {
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity')
    return transportFault('TRANSPORT_PROTOCOL', { host, why: 'it is compressed, which was not asked for' })
  if (method !== 'HEAD' && Number(headers.get('content-length') ?? 0) > maxBytes)
    return transportFault('TRANSPORT_TOO_LARGE', { what: `the answer of ${host}`, limit: maxBytes })
  return undefined
}

/** What OpenSSL and Node call a certificate that must not be trusted. */
const TLS_CODES = /^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_|HOSTNAME_|EPROTO$)/

function linkFault(host: string, size: number, cause: Error): Fault {
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  if (TLS_CODES.test(code)) return transportFault('TRANSPORT_TLS', { host, why: 'TLS was refused' }, { cause })
  return size > 0
    ? transportFault('TRANSPORT_CUT', { host, size }, { cause })
    : transportFault('TRANSPORT_UNREACHABLE', { host }, { cause })
}
