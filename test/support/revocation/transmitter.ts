// A transmitter's desk: keys of its own, and security event tokens signed with jose, right or wrong in whatever way a test asks for.

import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { EVENTS } from '../../../src/revocation/events.js'
import type { StreamTerms } from '../../../src/revocation/model.js'

export const ISSUER = 'https://idp.example.com/'
export const AUDIENCE = 'https://sluice.example/ssf'
export const SESSION_REVOKED = EVENTS['session-revoked'].uri
export const JANE = { format: 'iss_sub', iss: ISSUER, sub: 'jane' } as const

export type Claims = Readonly<Record<string, unknown>>
export type SigningKey = Awaited<ReturnType<typeof generateKeyPair>>['privateKey']

export interface Desk {
  readonly kid: string
  readonly alg: string
  readonly key: SigningKey
  /** As the receiver is given it. */
  readonly jwk: Readonly<Record<string, unknown>>
}

export async function makeDesk(kid = 'k1', alg = 'RS256'): Promise<Desk> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  return { kid, alg, key: privateKey, jwk }
}

export const jwksOf = (...desks: readonly Desk[]): string => JSON.stringify({ keys: desks.map(({ jwk }) => jwk) })

/** The claims of a SET that is right, issued at this second; members that are undefined are left out. */
export const claimsOf = (nowMs: number, more: Claims = {}): Claims => ({
  iss: ISSUER,
  aud: AUDIENCE,
  jti: 'jti-1',
  iat: Math.floor(nowMs / 1_000),
  sub_id: JANE,
  events: { [SESSION_REVOKED]: {} },
  ...more,
})

/** Any claims under any header, signed by this desk. */
export const signSet = (
  desk: Desk,
  claims: Claims,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> => {
  const { kid, alg } = desk
  const protectedHeader = { alg, kid, typ: 'secevent+jwt', ...header }
  return new SignJWT(claims).setProtectedHeader(protectedHeader).sign(desk.key)
}

export const streamOf = (more: Partial<StreamTerms> = {}): StreamTerms => ({
  name: 'idp',
  issuer: ISSUER,
  audience: [AUDIENCE],
  algorithms: ['RS256', 'ES256'],
  events: [
    'session-revoked',
    'credential-change',
    'device-compliance-change',
    'risk-level-change',
    'delegation-revoked',
    'workspace-killed',
  ],
  criticalMembers: [],
  reaction: { riskLevel: 'HIGH', credentialChange: 'quarantine' },
  ...more,
})
