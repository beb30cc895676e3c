// Receiving by push (RFC 8935): one POST of one SET over TLS, to the path with the stream's name. A transmitter is known by a bearer
// token, by its certificate, or by both, before anything of the body is looked at. 202 says that the event was kept and done; 400 with
// an error code that it never will be; 503 that it should come again.
//
// Everything is bounded: connections, in all and of one address, octets, time from the first octet of the handshake on, and attempts to
// be let in. Whoever is let in is never throttled, not even behind an address whose others fail, because it is somebody's authority that
// is being taken away.

import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { revocationFault } from './errors.js'
import type { Refusal, StreamTerms } from './model.js'
import type { Receiver } from './receiver.js'
import { SET_BYTES, SET_TYPE } from './set.js'

export interface PushStream {
  readonly terms: StreamTerms
  /** Its one line is the bearer token; read for every attempt. */
  readonly tokenFile?: string
  /** A subject alternative name of the transmitter's certificate. */
  readonly client?: string
}
export interface PushTerms {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** PEM; read again when they change. */
  readonly certificateFile: string
  readonly keyFile: string
  readonly clientCaFile?: string
  readonly streams: readonly PushStream[]
}
export interface PushHost {
  readonly receiver: Receiver
  /** Somebody was not let in. */
  readonly refused: (stream: string, from: string, refusal: Refusal) => void
  readonly monotonicMs: () => number
}
export interface PushServer {
  readonly port: number
  /** Takes up a new certificate, if the files have changed. Throws REVOCATION_LISTEN; the old one stays in use. */
  readonly refresh: () => void
  readonly close: () => Promise<void>
}

const LIMITS = {
  connections: 256,
  /** Of one address: whoever holds idle sockets keeps out nobody but the neighbours behind it. */
  connectionsFrom: 32,
  headerBytes: 8 << 10,
  requestMs: 10_000,
  /** How often it is looked for requests that took too long. */
  lookMs: 2_000,
  failuresPerMinute: 60,
  peers: 4_096,
} as const
const AGAIN_SECONDS = '2'

/** Throws REVOCATION_LISTEN. */
export async function startPush(terms: PushTerms, host: PushHost): Promise<PushServer> {
  const listen = `${terms.host}:${terms.port}`
  const no = (why: string, cause?: unknown) => revocationFault('REVOCATION_LISTEN', { listen, why }, { cause })
  const gate = new Gate(host.monotonicMs)
  const streams = new Map(terms.streams.map((stream) => [`/${stream.terms.name}`, stream]))
  let loaded: Loaded
  let server: Server
  const load = (): Loaded => {
    try {
      const { certificateFile, keyFile, clientCaFile } = terms
      return {
        cert: readFileSync(certificateFile),
        key: readFileSync(keyFile),
        ...(clientCaFile === undefined ? {} : { ca: readFileSync(clientCaFile) }),
      }
    } catch (cause) {
      throw no('its certificate cannot be read', cause)
    }
  }
  try {
    loaded = load()
    // Whoever shows no certificate, or a bad one, may still have the token of a stream that asks for no more: `unknownTo` judges.
    const tls = {
      ...loaded,
      minVersion: 'TLSv1.2' as const,
      requestCert: loaded.ca !== undefined,
      rejectUnauthorized: false,
    }
    server = createServer(
      {
        ...tls,
        maxHeaderSize: LIMITS.headerBytes,
        handshakeTimeout: LIMITS.requestMs,
        requestTimeout: LIMITS.requestMs,
        connectionsCheckingInterval: LIMITS.lookMs,
      },
      (request, response) => {
        void answer({ streams, gate, host }, request, response)
      },
    )
  } catch (cause) {
    throw no('its certificate cannot be used', cause)
  }
  server.maxConnections = LIMITS.connections
  server.headersTimeout = LIMITS.requestMs
  boundByAddress(server, LIMITS.connectionsFrom)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(no('it cannot be listened on', cause))
    })
    server.listen(terms.port, terms.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    refresh: () => {
      const next = load()
      if (!isOther(next, loaded)) return
      try {
        server.setSecureContext({ ...next, minVersion: 'TLSv1.2' })
        loaded = next
      } catch (cause) {
        throw no('its new certificate cannot be used', cause)
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeIdleConnections()
        setTimeout(() => {
          server.closeAllConnections()
        }, 1_000).unref()
      }),
  }
}

/** Before the handshake, which costs more than being turned away. */
function boundByAddress(server: Server, most: number): void {
  const open = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const from = socket.remoteAddress ?? 'unknown'
    const count = open.get(from) ?? 0
    if (count >= most) {
      socket.destroy()
      return
    }
    open.set(from, count + 1)
    socket.once('close', () => {
      const left = (open.get(from) ?? 1) - 1
      if (left > 0) open.set(from, left)
      else open.delete(from)
    })
  })
}

interface Loaded {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca?: Buffer
}

const isOther = (a: Loaded, b: Loaded): boolean =>
  !a.cert.equals(b.cert) || !a.key.equals(b.key) || a.ca?.equals(b.ca ?? Buffer.alloc(0)) === false

interface Desk {
  readonly streams: ReadonlyMap<string, PushStream>
  readonly gate: Gate
  readonly host: PushHost
}

// untrusted: `request`
async function answer(
  { streams, gate, host }: Desk,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const from = request.socket.remoteAddress ?? 'unknown'
  const end = (status: number, more: Readonly<Record<string, string>> = {}, body = ''): void => {
    if (response.headersSent || response.destroyed) return
    // What was not read belongs to nobody: the connection ends with the answer.
    const rest = request.complete ? {} : { connection: 'close' }
    response.writeHead(status, {
      'cache-control': 'no-store',
      'content-length': Buffer.byteLength(body),
      ...rest,
      ...more,
    })
    response.end(body)
  }
  const refuse = ({ err, description }: Refusal): void => {
    const headers = { 'content-type': 'application/json', 'content-language': 'en' }
    end(400, headers, JSON.stringify({ err, description }))
  }
  const stream = streams.get(request.url ?? '')
  const stranger = stream && unknownTo(stream, request)
  if (!stream || stranger) {
    // Nothing is told of what is more than that: nobody fills the trail.
    if (!gate.open(from)) return end(429, { 'retry-after': '60' })
    gate.failed(from)
    if (!stream || !stranger) return end(404)
    host.refused(stream.terms.name, from, stranger)
    return refuse(stranger)
  }
  if (request.method !== 'POST') return end(405, { allow: 'POST' })
  if (mediaTypeOf(request.headers['content-type']) !== `application/${SET_TYPE}`) return end(415)
  if (request.headers['content-encoding'] !== undefined) return end(415)
  const body = await bodyOf(request)
  if (body === undefined) return end(413)
  const reply = await host.receiver.receive(stream.terms, body, from)
  if (reply.kind === 'taken') return end(202)
  return reply.kind === 'refused' ? refuse(reply.refusal) : end(503, { 'retry-after': AGAIN_SECONDS })
}

const stranger = (description: string): Refusal => ({ err: 'authentication_failed', description })

/** Token and certificate, whichever of them the stream asks for. */
function unknownTo({ tokenFile, client }: PushStream, request: IncomingMessage): Refusal | undefined {
  if (tokenFile !== undefined) {
    const [, given = ''] = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(request.headers.authorization ?? '') ?? []
    if (given === '' || !isToken(given, tokenFile)) return stranger('the bearer token is missing or wrong')
  }
  if (client === undefined) return undefined
  const socket = request.socket as TLSSocket
  if (!socket.authorized) return stranger('no certificate of the expected authority was shown')
  const names = (socket.getPeerX509Certificate()?.subjectAltName ?? '').split(', ')
  return names.includes(`URI:${client}`) || names.includes(`DNS:${client}`)
    ? undefined
    : stranger('the certificate is of somebody else')
}

function isToken(given: string, file: string): boolean {
  try {
    const held = readFileSync(file, 'utf8').trim()
    const digest = (text: string) => createHash('sha256').update(text).digest()
    return held !== '' && timingSafeEqual(digest(given), digest(held))
  } catch {
    // A token that cannot be read is nobody's.
    return false
  }
}

const mediaTypeOf = (header: string | undefined): string => (header ?? '').split(';')[0]?.trim().toLowerCase() ?? ''

/** undefined: more than it may be, or it ended early. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of request as AsyncIterable<Uint8Array>) {
      size += chunk.length
      if (size > SET_BYTES) return undefined
      chunks.push(chunk)
    }
  } catch {
    // Whoever goes away in the middle gets no answer.
    return undefined
  }
  return Buffer.concat(chunks).toString('latin1')
}

/** Attempts that failed, by address, so that nobody guesses tokens or fills the trail. */
class Gate {
  private readonly failures = new Map<string, { count: number; sinceMs: number }>()
  constructor(private readonly monotonicMs: () => number) {}

  open(from: string): boolean {
    const entry = this.failures.get(from)
    if (!entry) return true
    if (this.monotonicMs() - entry.sinceMs > 60_000) this.failures.delete(from)
    return entry.count < LIMITS.failuresPerMinute || !this.failures.has(from)
  }

  failed(from: string): void {
    const entry = this.failures.get(from)
    if (entry) entry.count++
    else {
      // A flood from many addresses forgets the oldest of them.
      if (this.failures.size >= LIMITS.peers)
        for (const oldest of [...this.failures.keys()].slice(0, 64)) this.failures.delete(oldest)
      this.failures.set(from, { count: 1, sinceMs: this.monotonicMs() })
    }
  }
}
