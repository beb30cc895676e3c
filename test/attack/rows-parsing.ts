// Rows of the attack matrix about two readings of the same octets: headers, keys, numbers, encodings, documents. Names are
// those of the matrix.

import { base64url, decodeBase64url, utf8 } from '../../src/base/bytes.js'
import { change, jwsOf, remanifest, restate, writeJws } from './forge.js'
import { edit, next, policy, type Row } from './row.js'

export const PARSING_ROWS: Readonly<Record<string, Row>> = {
  'algorithm confusion, none, HMAC with a public key': {
    variants: [
      ['none', 'BUNDLE_STATEMENT_ALGORITHM', (fleet) => restate(fleet, { header: { alg: 'none' } })],
      ['HS256', 'BUNDLE_STATEMENT_ALGORITHM', (fleet) => restate(fleet, { header: { alg: 'HS256' } })],
      [
        'another signature algorithm',
        'BUNDLE_STATEMENT_ALGORITHM',
        (fleet) => restate(fleet, { header: { alg: 'ES256' } }),
      ],
    ],
  },
  'kid injection, jku, x5u, jwk, embedded keys': {
    variants: [
      ['a kid that is a path', 'BUNDLE_THRESHOLD', (fleet) => restate(fleet, { header: { kid: '../../dev/null' } })],
      [
        'a kid that is a member of every object',
        'BUNDLE_THRESHOLD',
        (fleet) => restate(fleet, { header: { kid: '__proto__' } }),
      ],
      ['jku', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { header: { jku: 'https://evil.example/keys' } })],
      ['x5u', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { header: { x5u: 'https://evil.example/chain' } })],
      ['jwk', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { header: { jwk: { kty: 'OKP' } } })],
      ['x5c', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { header: { x5c: ['AAAA'] } })],
    ],
  },
  'crit, b64 confusion': {
    variants: [
      ['an unknown crit', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { header: { crit: ['exp'], exp: 1 } })],
      ['b64 with crit', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { header: { crit: ['b64'], b64: false } })],
      ['b64 without crit', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { header: { b64: false } })],
    ],
  },
  'duplicate JSON or YAML keys': {
    variants: [
      [
        'in the envelope',
        'BUNDLE_STATEMENT',
        (fleet) =>
          change(fleet, ({ release }) => ({
            release: utf8(
              Buffer.from(release ?? [])
                .toString()
                .replace('{', '{"payload":"AA",'),
            ),
          })),
      ],
      [
        'in a protected header',
        'BUNDLE_STATEMENT',
        (fleet) =>
          restate(fleet, {
            headerText: (kid) =>
              `{"alg":"none","alg":"Ed25519","kid":"${kid}","typ":"application/vnd.sluice.release+json"}`,
          }),
      ],
      [
        'in the statement',
        'BUNDLE_STATEMENT',
        (fleet) => restate(fleet, { octets: utf8('{"policy_revision":"6","policy_revision":"8"}') }),
      ],
      ['in the manifest', 'BUNDLE_MANIFEST', (fleet) => remanifest(fleet, (payload) => `${payload}id: other\n`)],
      ['in a policy', 'PLAN_POLICY_INVALID', policy('kind: FencePolicy')],
    ],
  },
  'BOM, bad UTF-8, lone surrogates, unnormalised names': {
    variants: [
      [
        'a BOM before the manifest',
        'BUNDLE_MALFORMED',
        (fleet) => change(fleet, ({ manifest }) => ({ manifest: Buffer.concat([utf8('\ufeff'), manifest]) })),
      ],
      [
        'an overlong form in the manifest',
        'BUNDLE_MALFORMED',
        (fleet) =>
          change(fleet, ({ manifest }) => ({
            manifest: Buffer.concat([Uint8Array.of(0x23, 0xc0, 0x80, 0x0a), manifest]),
          })),
      ],
      [
        'a BOM before the release',
        'BUNDLE_STATEMENT',
        (fleet) => change(fleet, ({ release }) => ({ release: Buffer.concat([utf8('\ufeff'), release ?? utf8('')]) })),
      ],
      [
        'a lone surrogate in the statement',
        'BUNDLE_STATEMENT',
        (fleet) => restate(fleet, { octets: utf8('{"channel":"\\ud800"}') }),
      ],
      ['an unnormalised name', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { statement: { channel: 'e\u0301' } })],
    ],
  },
  'number precision': {
    variants: [
      ['a revision as a number', 'BUNDLE_STATEMENT', (fleet) => restate(fleet, { statement: { policy_revision: 8 } })],
      [
        'an epoch beyond 2^53',
        'BUNDLE_STATEMENT',
        (fleet) => restate(fleet, { octets: utf8('{"epoch":9007199254740993}') }),
      ],
      [
        'a revision beyond 2^64',
        'BUNDLE_STATEMENT',
        (fleet) => restate(fleet, { statement: { policy_revision: '18446744073709551616' } }),
      ],
      [
        'a revision with a sign',
        'BUNDLE_STATEMENT',
        (fleet) => restate(fleet, { statement: { policy_revision: '+8' } }),
      ],
    ],
  },
  'YAML alias bomb, tags, merge keys, yes/no, sexagesimal': {
    variants: [
      ['an alias bomb', 'PLAN_POLICY_INVALID', policy('a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]')],
      ['a tag', 'PLAN_POLICY_INVALID', policy('on: !!python/object:os.system [x]')],
      ['a merge key', 'PLAN_POLICY_INVALID', policy('<<: { on_expiry: hold }')],
      [
        'an anchor in the manifest',
        'BUNDLE_MANIFEST',
        (fleet) => remanifest(fleet, (payload) => payload.replace('id: ', 'id: &x ')),
      ],
      [
        'yes where a boolean is meant, and a port in base sixty',
        'PLAN_POLICY_INVALID',
        async (fleet) => {
          edit(fleet, 's/ports: .*/ports: [1:30]/')
          await next(fleet)
        },
      ],
    ],
  },
  'parser differential (first marker against last marker; two parsers, two meanings)': {
    variants: [
      [
        'a second signature document behind the first',
        'BUNDLE_SIGNATURE',
        (fleet) =>
          change(fleet, ({ manifest }) => {
            const artifact = Buffer.from(manifest).toString()
            return { manifest: utf8(artifact + artifact.slice(artifact.lastIndexOf('---\n'))) }
          }),
      ],
      [
        'a second manifest in front, well signed as a whole',
        'BUNDLE_MANIFEST',
        (fleet) => remanifest(fleet, (payload) => `${payload}---\n${payload}`),
      ],
    ],
  },
  'nested or re-signed payload': {
    variants: [
      [
        'the signed artifact signed again',
        'BUNDLE_MANIFEST',
        (fleet) => remanifest(fleet, (_payload, artifact) => artifact),
      ],
    ],
  },
  'signature malleability': {
    variants: [
      [
        'S plus the order of the group',
        'BUNDLE_SIGNATURE',
        (fleet) =>
          change(fleet, (bundle) => {
            const jws = jwsOf(bundle)
            const [first, ...rest] = jws.signatures
            if (!first) throw new Error('there is no signature')
            return {
              release: writeJws({ ...jws, signatures: [{ ...first, signature: plusOrder(first.signature) }, ...rest] }),
            }
          }),
      ],
      [
        'a signature with padding',
        'BUNDLE_STATEMENT',
        (fleet) =>
          change(fleet, (bundle) => {
            const jws = jwsOf(bundle)
            const signatures = jws.signatures.map((one) => ({ ...one, signature: `${one.signature}==` }))
            return { release: writeJws({ ...jws, signatures }) }
          }),
      ],
    ],
  },
}

/** RFC 8032 section 5.1.7: another S for the same signature, if a verifier does not look at its range. */
function plusOrder(signature: string): string {
  const octets = decodeBase64url(signature) ?? new Uint8Array(0)
  const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n
  const s = [...octets.subarray(32)].reduceRight((sum, octet) => (sum << 8n) | BigInt(octet), 0n) + order
  const out = new Uint8Array(octets)
  for (let i = 0; i < 32; i++) out[32 + i] = Number((s >> BigInt(8 * i)) & 255n)
  return base64url(out)
}
