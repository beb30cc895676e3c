// Certificates in a fleet, by command line: chains are enrolled by the next root, which nodes follow from the channel; their
// key counts while the revocation lists beside the root are fresh, and what was refused meanwhile is accepted later.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readPrivateKey } from '../../../src/bundle/key-file.js'
import { Fleet } from '../../support/fleet.js'
import { type Authority, authority, crlFile, revocationList, signerCertificate } from '../../support/pki.js'

const DAY = 86_400_000
let fleet: Fleet
let top: Authority
beforeEach(async () => {
  fleet = await Fleet.make()
  const { nowMs } = fleet.operator
  top = authority('top', { nowMs })
  const pair = readPrivateKey(fleet.read('keys/release-1.key'))
  fleet.write('authority.pem', pem(top.certificate))
  fleet.write('chain.pem', `subject=release-1\n${pem(signerCertificate(pair, { nowMs, serial: '77' }, top))}`)
  await fleet.sign('bundle', 7)
  await fleet.publish('bundle')
})
afterEach(() => fleet.close())

const pem = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`
const ROTATE = 'publish rotate root.json --key keys/root-1.key keys/root-2.key'

/** Makes the next root, publishes it, and lets the node follow it. */
async function enrol(words = '--anchor authority.pem --chain release-1=chain.pem'): Promise<void> {
  const { file, version } = JSON.parse(await fleet.ok(`${ROTATE} ${words} --json`)) as { file: string; version: number }
  fleet.published.set(`roots/${version}.jws.json`, fleet.read(file))
  await fleet.ok(`bundle pull ${fleet.source} --root root.json --out followed.tgz`)
  expect((fleet.json('root.json') as { version: number }).version).toBe(version)
}
const lists = (revoked: readonly string[] = []): void => {
  fleet.write('root.crls.pem', crlFile(revocationList(top, { nowMs: fleet.operator.nowMs, revoked })))
}
const doubt = (why: string) => ({
  code: 'BUNDLE_KEY_DOUBT',
  say: `key "release-1" does not count: its certificate chain does not hold (${why})`,
})
const VERIFY = 'bundle verify got.tgz --trust root.json --audience fleet.example/dev'

describe('a release key with a certificate chain', () => {
  it('counts while its lists are fresh, and again when they are fresh again', async () => {
    await enrol()
    expect(await fleet.take()).toMatchObject(doubt('certificate 1 has an issuer without a revocation list here'))
    expect(fleet.refusals()).toEqual(['BUNDLE_KEY_DOUBT'])
    lists()
    expect(await fleet.take()).toMatchObject({ code: 'active' })
    expect((await fleet.ask(VERIFY)).json.verdict).toBe('accepted')
    await fleet.sign('bundle', 8)
    await fleet.publish('bundle')
    fleet.operator.nowMs += 2 * DAY
    const stale = doubt('certificate 1 has an issuer whose revocation list is stale')
    expect(await fleet.take()).toMatchObject({ exit: 2, ...stale })
    expect((await fleet.ask(VERIFY)).json).toMatchObject({ verdict: 'refused', ...stale })
    expect(await fleet.live()).toBe('7')
    // Not among the bytes that a channel need not offer again.
    expect((fleet.json('state/state.json') as { body: { refused: unknown[] } }).body.refused).toEqual([])
    lists()
    expect(await fleet.take()).toMatchObject({ code: 'active' })
    expect(await fleet.live()).toBe('8')
  })
  it('does not count once it is revoked; two others still do', async () => {
    await enrol()
    lists(['77'])
    expect(await fleet.take()).toMatchObject({ exit: 2, ...doubt('certificate 1 is revoked') })
    await fleet.sign('bundle', 7, ['release-2', 'release-3'])
    await fleet.publish('bundle')
    expect(await fleet.take()).toMatchObject({ code: 'active' })
  })
  it('keeps its chain through the next rotation', async () => {
    await enrol()
    await enrol('--expires 2028-01-01T00:00:00Z')
    const { keys, x509 } = fleet.json('root.json') as { keys: Record<string, object>; x509?: { anchors: string[] } }
    expect(keys['release-1']).toMatchObject({ x509: { chain: [expect.any(String)] } })
    expect(x509?.anchors).toEqual([top.certificate.toString('base64url')])
  })
})

describe('enrolment refuses', () => {
  it.each([
    ['a chain for another key', '--anchor authority.pem --chain author=chain.pem', 'BUNDLE_KEY', /does not hold it/],
    ['another key', '--anchor authority.pem --chain release-2=chain.pem', 'BUNDLE_KEY', /for another key/],
    ['a chain without anchors', '--chain release-1=chain.pem', 'BUNDLE_ROOT', /the root has no x509 anchors/],
    ['a root key', '--anchor authority.pem --chain root-1=chain.pem', 'BUNDLE_KEY', /for another key/],
    ['a file without certificates', '--anchor agent.yaml', 'BUNDLE_KEY', /no CERTIFICATE blocks/],
    ['a purpose of servers', '--anchor authority.pem --purpose 1.3.6.1.5.5.7.3.1', 'BUNDLE_ROOT', /policy signing/],
    ['a purpose without anchors', '--purpose 1.3.6.1.4.1.99999.1', 'BUNDLE_ROOT', /anchors is not a list/],
  ])('%s', async (_name, words, code, say) => {
    const { exit, json } = await fleet.ask(`${ROTATE} ${words}`)
    expect([exit, (json.error as { code: string }).code]).toEqual([2, code])
    expect((json.error as { say: string }).say).toMatch(say)
  })
  it('words that are not KID=FILE', async () => {
    expect((await fleet.sluice(`${ROTATE} --chain chain.pem`)).exit).toBe(64)
  })
})
