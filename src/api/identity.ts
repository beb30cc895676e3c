// Who calls, by the certificate that TLS has verified: exactly one URI among its subject alternative names, of the form of a
// SPIFFE ID (X509-SVID section 2). Node prints the names as one text in which anything doubtful is quoted; a text with a
// quote in it is refused rather than parsed.

import type { AuthContext } from '@grpc/grpc-js/build/src/auth-context.js'
import { apiFault } from './errors.js'

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
