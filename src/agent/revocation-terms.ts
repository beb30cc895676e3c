// A stream as the receiver needs it: what is believed of its transmitter, with what it is asked, and how an event of it is named in the
// quarantine that it brings. Pure.

import type { SecurityEvent, StreamTerms } from '../revocation/model.js'
import type { StreamConfig } from './config-revocation.js'

export const outward = ({ caFile, certificateFile, keyFile }: StreamConfig, tokenFile: string | undefined) => ({
  ...(tokenFile === undefined ? {} : { tokenFile }),
  ...(caFile === undefined ? {} : { caFile }),
  ...(certificateFile === undefined ? {} : { certificateFile }),
  ...(keyFile === undefined ? {} : { keyFile }),
})

export const termsOf = (stream: StreamConfig): StreamTerms => {
  const { name, issuer, audience, algorithms, events, criticalMembers, riskLevel, credentialChange } = stream
  const level = riskLevel.toUpperCase() as 'LOW' | 'MEDIUM' | 'HIGH'
  return {
    name,
    issuer,
    audience,
    algorithms,
    events,
    criticalMembers,
    reaction: { riskLevel: level, credentialChange },
  }
}

/** Stands in the quarantine, its events and its receipt: which event it was, and when it was received. */
export const reasonOf = ({ name, type, issuer, jti, receivedAtMs }: SecurityEvent): string =>
  `${name ?? type} by ${issuer}, jti ${jti}, received ${new Date(receivedAtMs).toISOString()}`
