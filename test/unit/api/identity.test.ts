// What a connection has shown is read once for its session and for no other one, whatever addresses say.

import type { AuthContext } from '@grpc/grpc-js/build/src/auth-context.js'
import { describe, expect, it } from 'vitest'
import { contextOf } from '../../../src/api/identity.js'

let reads = 0
const callOf = (names: string | undefined, inner?: object) => ({
  getAuthContext: () => {
    reads++
    return (names === undefined ? {} : { sslPeerCertificate: { subjectaltname: names } }) as AuthContext
  },
  ...(inner === undefined ? {} : { call: inner }),
})
const seen = (call: Parameters<typeof contextOf>[0]): [string | undefined, number] => {
  reads = 0
  return [contextOf(call).sslPeerCertificate?.subjectaltname, reads]
}

describe('the certificate of a call', () => {
  it('is read once for each session', () => {
    const [one, other] = [{ stream: { session: {} } }, { stream: { session: {} } }]
    expect(seen(callOf('URI:a', one))).toEqual(['URI:a', 1])
    expect(seen(callOf('URI:never-read', one))).toEqual(['URI:a', 0])
    expect(seen(callOf('URI:b', other))).toEqual(['URI:b', 1])
    expect(seen(callOf('URI:b', { stream: { session: other.stream.session } }))).toEqual(['URI:b', 0])
  })

  it('that was not shown is asked for again', () => {
    const later = { stream: { session: {} } }
    expect(seen(callOf(undefined, later))).toEqual([undefined, 1])
    expect(seen(callOf('URI:c', later))).toEqual(['URI:c', 1])
  })

  it('is read for every call where the library shows no session', () => {
    for (const inner of [undefined, {}, { stream: {} }, { stream: { session: 'text' } }])
      for (let call = 0; call < 2; call++) expect(seen(callOf('URI:d', inner))).toEqual(['URI:d', 1])
  })
})
