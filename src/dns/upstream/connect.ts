// A connection to an upstream: TCP, or TLS whose other end has proved who it is before a single octet of a question is sent (RFC
// 8310 section 8, strict usage: there is no way from here to clear text). With a name the certificate must chain to the CAs and be
// for that name, and where there are pins its key must be one of them; without a name the key alone decides (RFC 7858 section 4.2).

import { createHash, X509Certificate } from 'node:crypto'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Fault } from '../../base/fault.js'
import { dnsFault } from '../errors.js'
import { sayLink, type Wait } from './datagram.js'
import { printUpstream, type UpstreamAddress } from './parse.js'

/** Where to connect, and what is known of the other end. */
export interface Destination extends UpstreamAddress {
  /** PEM of the CAs to trust, the content of `caFile`; absent: those that Node brings. */
  readonly ca?: string
}

/** A session of an earlier connection to the same destination, already judged. */
export interface Resumption {
  session?: Buffer
}

/** Resolves when the other end may be asked. Throws DNS_UPSTREAM_SILENT, _LINK, _IDENTITY, or what aborted the signal. */
export function openConnection(to: Destination, { timeoutMs, signal }: Wait, resumption: Resumption): Promise<Socket> {
  const from = printUpstream(to)
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error)
    const socket = to.transport === 'dot' ? dot(to, resumption) : connectTcp(to.port, to.address)
    socket.setNoDelay(true)
    const finish = (act: () => void): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
      socket.off('error', broken)
      act()
    }
    const fail = (error: Error): void =>
      finish(() => {
        // It is being destroyed; what it still has to say changes nothing.
        socket.on('error', () => undefined)
        socket.destroy()
        reject(error)
      })
    const aborted = (): void => fail(signal.reason as Error)
    const silent = dnsFault('DNS_UPSTREAM_SILENT', { from, limitMs: Math.round(timeoutMs) })
    const timer = setTimeout(() => fail(silent), timeoutMs)
    const broken = (cause: Error): void => fail(linkFault(from, cause))
    signal.addEventListener('abort', aborted)
    socket.once('error', broken)
    socket.once(to.transport === 'dot' ? 'secureConnect' : 'connect', () => {
      const why = to.transport === 'dot' ? identityFault(to, socket as TLSSocket) : undefined
      if (why === undefined) finish(() => resolve(socket))
      else {
        delete resumption.session
        fail(dnsFault('DNS_UPSTREAM_IDENTITY', { from, why }))
      }
    })
    return undefined
  })
}

function dot(to: Destination, resumption: Resumption): TLSSocket {
  const socket = connectTls({
    host: to.address,
    port: to.port,
    minVersion: 'TLSv1.2',
    // Node checks chain and name. Without a name there is none to check, and identityFault looks at the key.
    rejectUnauthorized: to.name !== undefined,
    ...(to.name === undefined ? {} : { servername: to.name }),
    ...(to.ca === undefined ? {} : { ca: to.ca }),
    ...(resumption.session ? { session: resumption.session } : {}),
  })
  socket.on('session', (session) => {
    resumption.session = session
  })
  return socket
}

/** What Node has not looked at: the pins. */
function identityFault(to: Destination, socket: TLSSocket): string | undefined {
  if (to.name !== undefined && !socket.authorized) return 'its certificate is not trusted'
  if (to.pins.length === 0) return to.name === undefined ? 'nothing says who it should be' : undefined
  const { raw } = socket.getPeerCertificate()
  if (raw === undefined) return 'it shows no certificate'
  return to.pins.includes(spkiPin(raw)) ? undefined : 'its key is none of the pinned ones'
}

/** Base64 of SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7858 appendix A); DER or PEM. */
export const spkiPin = (certificate: Uint8Array | string): string =>
  createHash('sha256')
    .update(new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')

/** What OpenSSL and Node call a certificate that must not be trusted. */
const UNTRUSTED = /^(?:ERR_TLS_CERT|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_|HOSTNAME_)/

export function linkFault(from: string, cause: Error): Fault {
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return dnsFault('DNS_UPSTREAM_IDENTITY', { from, why: 'its certificate is for another name' }, { cause })
  if (UNTRUSTED.test(code))
    return dnsFault('DNS_UPSTREAM_IDENTITY', { from, why: 'its certificate is not trusted' }, { cause })
  return dnsFault('DNS_UPSTREAM_LINK', { from, why: sayLink(cause) }, { cause })
}
