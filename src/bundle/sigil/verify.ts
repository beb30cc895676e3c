// YamlSigil v1alpha1, the verifier: five states for an artifact, and faults for a caller who asks wrongly. Payload octets
// exist outside this file only in a `Verified` result. Advertised profile: Strict.
//
// The order is the specification's: form, structure, metadata, non-empty signature, algorithm implemented, parameters,
// key, octets of the signature, equation (bundle-trust sheet section 2).

import { bundleFault } from '../errors.js'
import { checkSignature, isKeyAlg, isWellFormedSignature, type KeyAlg, type PublicKey } from '../keys.js'
import { type Decomposed, decomposeYaml } from './decompose.js'
import { type MetadataResult, readCarrier, SIGIL_ALGORITHMS, type SigilMetadata } from './metadata.js'
import { decomposeProtobuf, readSubmessage } from './protobuf.js'

/** Bound to a source by configuration, never guessed from bytes. */
export type SigilForm = 'yaml' | 'protobuf'

const FORMS = {
  yaml: { decompose: decomposeYaml, metadata: readCarrier },
  protobuf: { decompose: decomposeProtobuf, metadata: readSubmessage },
} as const satisfies Record<
  SigilForm,
  { decompose: (artifact: Uint8Array) => Decomposed; metadata: (carrier: Uint8Array) => MetadataResult }
>

/** What can be said before a key is chosen. Holds no payload. */
export interface PreVerified {
  readonly outcome: 'Ok' | 'Unsigned' | 'MalformedAttemptedSigned' | 'MetadataParseFailure'
  /** For people; '' when Ok. */
  readonly why: string
  /** Unauthenticated hints, present when Ok. */
  readonly alg?: KeyAlg
  // untrusted: a hint
  readonly keyid?: string
}

export type SigilResult =
  | { readonly state: 'Verified'; readonly payload: Uint8Array }
  | {
      readonly state:
        | 'Unsigned'
        | 'MalformedAttemptedSigned'
        | 'SignedButAlgorithmUnsupported'
        | 'SignedButFailedVerification'
      readonly why: string
    }

export interface SigilPolicy {
  /** The one key to try. Throw a Fault when there is none. */
  readonly resolve: (hint: { readonly alg: KeyAlg; readonly keyid?: string }) => PublicKey
  /** The algorithms that this verifier implements for its caller; never empty. */
  readonly algorithms: readonly KeyAlg[]
  /** Neither algorithm takes any: only absent or empty is right. */
  readonly parameters?: Uint8Array
}

/** Payload and signature of each pre-verified artifact, out of the caller's reach. */
const inside = new WeakMap<PreVerified, { payload: Uint8Array; metadata: SigilMetadata }>()
const known = new WeakSet<PreVerified>()

function remember(result: PreVerified): PreVerified {
  known.add(Object.freeze(result))
  return result
}

/** Form, structure and metadata. Throws BUNDLE_SIGIL_FORM for a form that does not exist. */
export function preVerify(form: SigilForm, artifact: Uint8Array): PreVerified {
  if (!Object.hasOwn(FORMS, form)) throw bundleFault('BUNDLE_SIGIL_FORM', { form: String(form) })
  const { decompose, metadata } = FORMS[form]
  const parts = decompose(artifact)
  if (parts.outcome !== 'Ok') return remember(parts)
  const read = metadata(parts.carrier)
  if (!read.ok) return remember({ outcome: 'MetadataParseFailure', why: read.why })
  const { alg, keyid } = read.metadata
  const result = remember({ outcome: 'Ok', why: '', alg, ...(keyid === undefined ? {} : { keyid }) })
  inside.set(result, { payload: new Uint8Array(parts.payload), metadata: read.metadata })
  return result
}

/** The rest of the way. Throws BUNDLE_SIGIL_* for caller faults; every defect of the artifact is a state. */
export function verifySigil(pre: PreVerified, policy: SigilPolicy): SigilResult {
  if (!known.has(pre)) throw bundleFault('BUNDLE_SIGIL_PRE_VERIFY', undefined)
  if (policy.algorithms.length === 0 || !policy.algorithms.every(isKeyAlg))
    throw bundleFault('BUNDLE_SIGIL_POLICY', { why: 'the list of algorithms is empty or names an unknown one' })
  if (pre.outcome === 'Unsigned') return { state: 'Unsigned', why: pre.why }
  const held = inside.get(pre)
  if (held === undefined) return { state: 'MalformedAttemptedSigned', why: pre.why }
  const { payload, metadata } = held
  const { alg, keyid, signature } = metadata
  if (signature.length === 0) return { state: 'MalformedAttemptedSigned', why: 'the signature is empty' }
  if (!policy.algorithms.includes(alg))
    return { state: 'SignedButAlgorithmUnsupported', why: SIGIL_ALGORITHMS[alg].name }
  if (policy.parameters !== undefined && policy.parameters.length > 0)
    throw bundleFault('BUNDLE_SIGIL_PARAMETERS', { alg })
  const key = resolveKey(policy, { alg, ...(keyid === undefined ? {} : { keyid }) })
  if (!isWellFormedSignature(alg, signature))
    return { state: 'MalformedAttemptedSigned', why: `the signature is not one of ${alg}` }
  return checkSignature(key, payload, signature) === 'good'
    ? { state: 'Verified', payload: new Uint8Array(payload) }
    : { state: 'SignedButFailedVerification', why: 'the signature does not fit payload and key' }
}

function resolveKey(policy: SigilPolicy, hint: { readonly alg: KeyAlg; readonly keyid?: string }): PublicKey {
  let key: PublicKey
  try {
    key = policy.resolve(hint)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'the resolver failed'
    throw bundleFault('BUNDLE_SIGIL_KEY', { why }, { cause })
  }
  if (key.alg !== hint.alg) throw bundleFault('BUNDLE_SIGIL_KEY', { why: `the key is for ${key.alg}, not ${hint.alg}` })
  return key
}
