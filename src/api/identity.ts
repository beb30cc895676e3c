// Who calls, by the certificate that TLS has verified: exactly one URI among its subject alternative names, of the form of a
// SPIFFE ID (X509-SVID section 2). Node prints the names as one text in which anything doubtful is quoted; a text with a
// quote in it is refused rather than parsed.

import type { AuthContext } from '@grpc/grpc-js/build/src/auth-context.js'
import { apiFault } from './errors.js'

/** What the connection of a call has shown, by its session. */
const shown = new WeakMap<object, AuthContext>()

/**
 * As `getAuthContext` of the call, which reads and prints the certificate every time. A session has one for as long as it lives: TLS under
 * HTTP/2 negotiates nothing again (RFC 9113 sections 9.2.1 and 9.2.3). Only the session itself is a key; addresses are used again.
 */
export function contextOf(call: Authenticated): AuthContext {
  const session = sessionOf(call)
  const before = session && shown.get(session)
  if (before) return before
  const context = call.getAuthContext()
  if (session && context.sslPeerCertificate) shown.set(session, context)
  return context
}
interface Authenticated {
  getAuthContext(): AuthContext
}

/** The library has it and does not say so in its types; where it has it no more, every call is read by itself. */
function sessionOf(call: Authenticated): object | undefined {
  const { call: inner } = call as { readonly call?: { readonly stream?: { readonly session?: unknown } } }
  const session = inner?.stream?.session
  return typeof session === 'object' && session !== null ? session : undefined
}

const SPIFFE = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/
const MAX_BYTES = 2048

/** Throws API_IDENTITY. */
export function identityOf({ sslPeerCertificate }: AuthContext): string {
  const names = sslPeerCertificate?.subjectaltname
  if (names === undefined) throw apiFault('API_IDENTITY', { why: 'the certificate has no subject alternative name' })
  if (names.includes('"')) throw apiFault('API_IDENTITY', { why: 'a name of the certificate is not plain text' })
  const uris = names
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length))
  const [id] = uris
  if (id === undefined || uris.length !== 1)
    throw apiFault('API_IDENTITY', { why: `the certificate has ${uris.length} URIs, and must have one` })
  if (id.length > MAX_BYTES || !SPIFFE.test(id)) throw apiFault('API_IDENTITY', { why: 'its URI is no SPIFFE ID' })
  return id
}
