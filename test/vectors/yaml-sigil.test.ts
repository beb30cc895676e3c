// YamlSigil v1alpha1 conformance: every case of the public set, judged by the Strict column, which is what we advertise.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeHex, hex } from '../../src/base/bytes.js'
import { Fault } from '../../src/base/fault.js'
import { generateKey, signerOf } from '../../src/bundle/key-file.js'
import { enrollKey, type KeyAlg } from '../../src/bundle/keys.js'
import { composeYaml } from '../../src/bundle/sigil/compose.js'
import { decomposeYaml } from '../../src/bundle/sigil/decompose.js'
import { algorithmNamed, decodeSignatureText, readCarrier, SIGIL_ALGORITHMS } from '../../src/bundle/sigil/metadata.js'
import { decomposeProtobuf, readSubmessage } from '../../src/bundle/sigil/protobuf.js'
import { preVerify, type SigilForm, type SigilPolicy, verifySigil } from '../../src/bundle/sigil/verify.js'
import { signSigil } from '../../src/bundle/sign.js'
import { sharedFolder } from '../support/shared-data.js'

interface Case {
  readonly id: string
  readonly files: readonly string[]
  readonly stage: string
  readonly key?: string
  readonly expect: Readonly<Record<string, unknown>>
}
interface Expectations {
  readonly keys: Readonly<Record<string, { readonly alg: string; readonly public_key_hex: string }>>
  readonly cases: readonly Case[]
}

const ALL: readonly KeyAlg[] = ['Ed25519', 'ES256']
const formOf = (file: string): SigilForm => (file.endsWith('.binpb') ? 'protobuf' : 'yaml')
const octets = (text: string): Uint8Array => decodeHex(text) ?? new Uint8Array(0)
/** Some key of each algorithm, for cases that must be decided before any key matters. */
const anyKey: SigilPolicy['resolve'] = ({ alg }) =>
  generateKey({ role: 'author', alg, kid: 'k' }, (n) => new Uint8Array(n).fill(7)).public
const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return 'nothing was thrown'
}

describe('yaml-sigil', () => {
  const folder = sharedFolder('SLUICE_VECTORS')
  if (folder === undefined) return
  const load = (file: string): Uint8Array => readFileSync(join(folder, 'yaml-sigil', file))
  const { keys, cases } = JSON.parse(new TextDecoder().decode(load('expectations.json'))) as Expectations
  const keyNamed = (name: string) => {
    const key = keys[name]
    const alg = algorithmNamed(key?.alg ?? '')
    if (key === undefined || alg === undefined) throw new Error(`no key ${name}`)
    return enrollKey(alg, octets(key.public_key_hex), name)
  }
  const stateOf = (file: string, policy: Partial<SigilPolicy> = {}) =>
    verifySigil(preVerify(formOf(file), load(file)), { resolve: anyKey, algorithms: ALL, ...policy })

  /** Metadata cases that go on do so with signatures that nobody made: the state says how far they came. */
  function expectMetadata(file: string, outcome: unknown): void {
    const pre = preVerify(formOf(file), load(file))
    if (String(outcome).startsWith('MalformedAttemptedSigned')) {
      expect(pre.outcome).toBe('MetadataParseFailure')
      expect(stateOf(file).state).toBe('MalformedAttemptedSigned')
      return
    }
    expect(pre).toMatchObject({ outcome: 'Ok', why: '' })
    // An all-zero P-256 signature has R = 0; an all-zero Ed25519 one is well formed, and wrong.
    const expected = pre.alg === 'ES256' ? 'MalformedAttemptedSigned' : 'SignedButFailedVerification'
    expect(stateOf(file).state).toBe(expected)
    expect(stateOf(file, { algorithms: [pre.alg === 'ES256' ? 'Ed25519' : 'ES256'] }).state).toBe(
      'SignedButAlgorithmUnsupported',
    )
  }

  const run: Readonly<Record<string, (item: Case) => void | Promise<void>>> = {
    decompose: ({ files: [file = ''], expect: expected }) => {
      const bytes = load(file)
      const parts = decomposeYaml(bytes)
      expect(parts.outcome).toBe(expected.decompose)
      if (parts.outcome !== 'Ok') {
        expect(stateOf(file).state).toBe(expected.verify)
        return
      }
      const range = (part: Uint8Array) => [
        part.byteOffset - bytes.byteOffset,
        part.byteOffset - bytes.byteOffset + part.length,
      ]
      expect(range(parts.payload)).toEqual(expected.payload_range)
      expect(range(parts.carrier)).toEqual(expected.carrier_range)
    },
    'decompose-protobuf': ({ files: [file = ''], expect: expected }) => {
      const parts = decomposeProtobuf(load(file))
      const [outcome = '', later] = String(expected.Strict).split('; Verify then ')
      expect(parts.outcome).toBe(outcome.split(' ')[0])
      if (later === undefined) return
      expect(parts.outcome === 'Ok' ? parts.carrier.length : undefined).toBe(0)
      expect(stateOf(file).state).toBe(later)
    },
    metadata: ({ files, expect: expected }) => {
      for (const file of files) expectMetadata(file, expected.Strict ?? expected.verify)
    },
    base64: ({ files: [file = ''], expect: expected }) => {
      const decoded = decodeSignatureText(new TextDecoder().decode(load(file)))
      if (expected.decode === 'ok') expect(decoded?.length).toBe(64)
      else expect(decoded).toBeUndefined()
    },
    key: ({ id, files: [file = ''] }) => {
      const alg: KeyAlg = id.startsWith('alg-ed25519') ? 'Ed25519' : 'ES256'
      const lines = new TextDecoder().decode(load(file)).split('\n')
      const listed = lines
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.split(': ').at(-1) ?? '')
      expect(listed).toHaveLength(alg === 'Ed25519' ? 8 : 2)
      const artifact = `conformance/alg-${alg === 'Ed25519' ? 'ed25519/rfc8032-vec1-empty-message' : 'ecdsa/verify-happy-path'}.binpb`
      for (const text of listed) {
        expect(codeOf(() => enrollKey(alg, octets(text)))).toBe('BUNDLE_KEY')
        const resolve = () => enrollKey(alg, octets(text))
        expect(codeOf(() => stateOf(artifact, { resolve }))).toBe('BUNDLE_SIGIL_KEY')
      }
    },
    crypto: ({ files, key = '', expect: expected }) => {
      expect(files.length).toBeGreaterThan(0)
      for (const file of files) {
        const result = stateOf(file, { resolve: () => keyNamed(key) })
        expect(result.state).toBe(expected.verify)
        const parts = formOf(file) === 'yaml' ? decomposeYaml(load(file)) : decomposeProtobuf(load(file))
        if (result.state === 'Verified' && parts.outcome === 'Ok') expect(hex(result.payload)).toBe(hex(parts.payload))
        else expect(result).not.toHaveProperty('payload')
      }
    },
    runtime: ({ files, key, expect: expected }) => {
      for (const file of files) {
        expect(preVerify(formOf(file), load(file)).outcome).toBe(expected.pre_verify)
        const only = (algorithms: readonly KeyAlg[]) =>
          stateOf(file, { algorithms, ...(key === undefined ? {} : { resolve: () => keyNamed(key) }) }).state
        expect(only(ALL)).toBe(expected.verify ?? expected['supported algorithm'])
        expect(only(['Ed25519'])).toBe(expected.verify ?? expected['algorithm not implemented'])
      }
    },
    compose: ({ files: [file = ''] }) => {
      expect(codeOf(() => composeYaml(new TextEncoder().encode('a: 1\n'), load(file)))).toBe('BUNDLE_SIGIL_CARRIER')
    },
    // We do not transcode; what can be asserted is that both forms carry the same fields.
    transcode: ({ files, expect: expected }) => {
      expect(files).toHaveLength(2)
      for (const file of files) {
        const parts = formOf(file) === 'yaml' ? decomposeYaml(load(file)) : decomposeProtobuf(load(file))
        if (parts.outcome !== 'Ok') throw new Error(parts.why)
        expect(new TextDecoder().decode(parts.payload)).toBe(expected.payload)
        const read = formOf(file) === 'yaml' ? readCarrier(parts.carrier) : readSubmessage(parts.carrier)
        if (!read.ok) throw new Error(read.why)
        expect(hex(read.metadata.signature)).toBe(expected.signature_octets_hex)
        expect(Number(SIGIL_ALGORITHMS[read.metadata.alg].number)).toBe(expected.alg)
        expect(read.metadata.keyid ?? null).toBe(expected.keyid)
        expect(stateOf(file).state).toBe('MalformedAttemptedSigned')
      }
    },
    invocation: async ({ id }) => {
      const alg: KeyAlg = id.startsWith('alg-ed25519') ? 'Ed25519' : 'ES256'
      const parameters = new Uint8Array([0])
      const signer = signerOf(generateKey({ role: 'author', alg, kid: 'k' }, (n) => new Uint8Array(n).fill(7)))
      const payload = new TextEncoder().encode('a: 1\n')
      await expect(signSigil(payload, signer, parameters)).rejects.toMatchObject({ code: 'BUNDLE_SIGIL_PARAMETERS' })
      const pre = preVerify('yaml', await signSigil(payload, signer, new Uint8Array(0)))
      expect(codeOf(() => verifySigil(pre, { resolve: anyKey, algorithms: ALL, parameters }))).toBe(
        'BUNDLE_SIGIL_PARAMETERS',
      )
      expect(verifySigil(pre, { resolve: anyKey, algorithms: ALL, parameters: new Uint8Array(0) }).state).toBe(
        'Verified',
      )
    },
  }

  it('lists the 68 cases that this suite knows', () => expect(cases).toHaveLength(68))
  for (const item of cases)
    it(item.id, async () => {
      const stage = run[item.stage]
      if (stage === undefined) throw new Error(`no such stage: ${item.stage}`)
      await stage(item)
    })
})
