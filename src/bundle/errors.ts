// Why a bundle, an inventory, a trust root or a key file was refused: the closed set of codes of this folder. Codes are
// API (src/ERRORS.md lists them). Messages quote untrusted text, bounded. `detail` is for machines.

import { faultsOf } from '../base/fault.js'
import { quote } from '../base/quote.js'

const at = (ms: number): string => new Date(ms).toISOString()
const reject = { reaction: 'reject' } as const

export const BUNDLE_FAULTS = {
  BUNDLE_TOO_LARGE: {
    ...reject,
    say: (d: { what: string; size: number; limit: number }) =>
      `${d.what} has ${d.size} octets; the limit is ${d.limit}`,
    remedy: 'Split the bundle, or remove what does not belong in it.',
  },
  BUNDLE_TOO_MANY: {
    ...reject,
    say: (d: { what: string; count: number; limit: number }) =>
      `there are ${d.count} ${d.what}; the limit is ${d.limit}`,
    remedy: 'Split the bundle, or remove what does not belong in it.',
  },
  BUNDLE_UNSIGNED: {
    ...reject,
    say: () => 'the manifest carries no signature document',
    remedy: 'Sign the bundle with `sluice bundle sign`. If it was signed, the signature was removed on the way.',
  },
  BUNDLE_MALFORMED: {
    ...reject,
    say: (d: { why: string }) => `the manifest's signature document is malformed: ${d.why}`,
    remedy: 'Sign the bundle again, and compare what was sent with what arrived.',
  },
  BUNDLE_ALGORITHM: {
    ...reject,
    say: (d: { alg: string }) => `the manifest is signed with ${d.alg}, which this node does not accept`,
    remedy: 'Sign with an algorithm that a key of the trust root has.',
  },
  BUNDLE_SIGNATURE: {
    ...reject,
    say: (d: { what: string; kid: string }) => `the signature of ${d.what} by key ${quote(d.kid)} is wrong`,
    remedy: 'The bytes were changed after signing, or another key made the signature. Fetch the original again.',
  },
  BUNDLE_SIGNER_UNKNOWN: {
    ...reject,
    say: (d: { kid: string | undefined }) =>
      d.kid === undefined
        ? 'no author key of the trust root made the signature of the manifest'
        : `the manifest names key ${quote(d.kid)}, which is not an author key of the trust root`,
    remedy: 'Sign with an enrolled author key, or enrol this one in a new root.',
  },
  BUNDLE_MANIFEST: {
    ...reject,
    say: (d: { errors: number }) => `the signed manifest is not an acceptable PolicyBundle (${d.errors} errors)`,
    remedy: 'Correct what the notes say, and sign again.',
  },
  BUNDLE_RELEASE_MISSING: {
    ...reject,
    say: () => 'the bundle carries no release statement (release.jws.json)',
    remedy:
      'Release the bundle with `sluice bundle sign --release`. If it was released, the file was removed on the way.',
  },
  BUNDLE_STATEMENT: {
    ...reject,
    say: (d: { what: string; why: string }) => `the signed ${d.what} is malformed: ${d.why}`,
    remedy: 'Make the statement again; it must be canonical JSON in a JWS General serialization.',
  },
  BUNDLE_STATEMENT_TYPE: {
    ...reject,
    say: (d: { what: string; typ: string }) => `a signature of the ${d.what} is for another type, ${quote(d.typ)}`,
    remedy: 'A signature made for one kind of statement cannot serve another. Sign the right statement.',
  },
  BUNDLE_STATEMENT_ALGORITHM: {
    ...reject,
    say: (d: { what: string; kid: string; alg: string }) =>
      `a signature of the ${d.what} says algorithm ${quote(d.alg)}, and key ${quote(d.kid)} has another`,
    remedy: 'The algorithm belongs to the enrolled key, never to the header. Sign again.',
  },
  BUNDLE_THRESHOLD: {
    ...reject,
    say: (d: { what: string; role: string; have: number; need: number }) =>
      `the ${d.what} has ${d.have} good signatures of distinct ${d.role} keys and needs ${
        Number.isFinite(d.need) ? d.need : 'some, but the trust root has no such role'
      }`,
    remedy: 'Collect the missing signatures with `sluice bundle sign`.',
  },
  BUNDLE_RELEASE_MISMATCH: {
    ...reject,
    say: (d: { what: string }) => `the release is for another bundle: ${d.what} differs`,
    remedy: 'Put the release beside the manifest that it was made for.',
  },
  BUNDLE_AUDIENCE: {
    ...reject,
    say: (d: { what: string; audience: readonly string[]; expected: string }) =>
      `the ${d.what} is for ${d.audience.map((name) => quote(name)).join(', ')}, not for ${quote(d.expected)}`,
    remedy: 'Release the bundle for this audience.',
  },
  BUNDLE_CHANNEL: {
    ...reject,
    say: (d: { channel: string; expected: string }) =>
      `the release is on channel ${quote(d.channel)}, not on ${quote(d.expected)}`,
    remedy: 'Promote the bundle to this channel.',
  },
  BUNDLE_EPOCH: {
    ...reject,
    say: (d: { what: string; epoch: number; root: number }) =>
      `the ${d.what} is of epoch ${d.epoch} and the trust root of epoch ${d.root}`,
    remedy: 'Release again under the current root, or install the newer root first.',
  },
  BUNDLE_COUNTER_REGRESSION: {
    ...reject,
    say: (d: { what: string; revision: string; held: string }) =>
      `the ${d.what} has revision ${d.revision} and ${d.held} is held already (counter_regression)`,
    remedy: 'To go back to older content, release it under a higher revision.',
  },
  BUNDLE_COUNTER_CONTENT_MISMATCH: {
    ...reject,
    say: (d: { what: string; revision: string }) =>
      `the ${d.what} has revision ${d.revision}, which is held with other content (counter_content_mismatch)`,
    remedy:
      'Two contents under one revision means that a signer equivocated. Find out which one, then release a new revision.',
  },
  BUNDLE_COUNTER_JUMP: {
    ...reject,
    say: (d: { what: string; revision: string; held: string; limit: string }) =>
      `the ${d.what} goes from revision ${d.held} to ${d.revision}; one step is at most ${d.limit} (counter_jump)`,
    remedy: 'Release the next revision. If the counter was burnt, a new root with the next epoch resets it.',
  },
  BUNDLE_NOT_YET_VALID: {
    ...reject,
    say: (d: { what: string; notBeforeMs: number; nowMs: number }) =>
      `the ${d.what} holds from ${at(d.notBeforeMs)}; it is ${at(d.nowMs)}`,
    remedy: 'Wait, or correct the clock of this node.',
  },
  BUNDLE_EXPIRED: {
    ...reject,
    say: (d: { what: string; expiresAtMs: number; nowMs: number }) =>
      `the ${d.what} expired at ${at(d.expiresAtMs)}; it is ${at(d.nowMs)}`,
    remedy: 'Release it again with a later expiry, or correct the clock of this node.',
  },
  BUNDLE_MEMBER_MISSING: {
    ...reject,
    say: (d: { path: string }) => `the member ${quote(d.path)} is missing`,
    remedy: 'Fetch the whole bundle again.',
  },
  BUNDLE_MEMBER_UNLISTED: {
    ...reject,
    say: (d: { path: string }) => `the file ${quote(d.path)} is not a member of this bundle`,
    remedy: 'Remove it. A bundle holds exactly what its manifest lists.',
  },
  BUNDLE_MEMBER_SIZE: {
    ...reject,
    say: (d: { path: string; size: number; expected: number }) =>
      `the member ${quote(d.path)} has ${d.size} octets and the release says ${d.expected}`,
    remedy: 'Fetch the whole bundle again.',
  },
  BUNDLE_MEMBER_DIGEST: {
    ...reject,
    say: (d: { path: string }) => `the member ${quote(d.path)} is not the one that was signed: its SHA-256 differs`,
    remedy: 'Fetch the whole bundle again.',
  },
  BUNDLE_MEMBER_PATH: {
    ...reject,
    say: (d: { path: string; why: string }) => `${quote(d.path)} is not an acceptable member path: ${d.why}`,
    remedy: 'Rename the file: letters, digits and . _ - + = @ , in up to 16 segments.',
  },
  BUNDLE_INVENTORY_MISMATCH: {
    ...reject,
    say: (d: { what: string }) => `the inventory is not the one that was signed: its ${d.what} differs`,
    remedy: 'Sign the inventory again after every change.',
  },
  BUNDLE_KEY: {
    ...reject,
    say: (d: { name: string; why: string }) => `the key ${quote(d.name)} cannot be used: ${d.why}`,
    remedy: 'Make a new key with `sluice bundle keygen`.',
  },
  BUNDLE_KEY_DOUBT: {
    ...reject,
    say: (d: { kid: string; why: string }) =>
      `key ${quote(d.kid)} does not count: its certificate chain does not hold (${d.why})`,
    remedy:
      'Put fresh revocation lists of its authorities beside the trust root (root.crls.pem), or renew the certificate and enrol it in the next root.',
  },
  BUNDLE_KEY_FILE: {
    ...reject,
    say: (d: { why: string }) => `this is not a key file of ours: ${d.why}`,
    remedy: 'Key files are written by `sluice bundle keygen`: kid, role and alg lines, then one PKCS#8 PEM block.',
  },
  BUNDLE_ROOT: {
    ...reject,
    say: (d: { why: string }) => `the trust root is not acceptable: ${d.why}`,
    remedy: 'Correct root.json; `sluice init` writes one to start from.',
  },
  BUNDLE_ROOT_EXPIRED: {
    ...reject,
    say: (d: { version: number; expiresAtMs: number; nowMs: number }) =>
      `trust root ${d.version} expired at ${at(d.expiresAtMs)}; it is ${at(d.nowMs)}`,
    remedy: 'Install the next root. Without one nothing new is accepted.',
  },
  BUNDLE_ROOT_VERSION: {
    ...reject,
    say: (d: { version: number; expected: number }) =>
      `the root has version ${d.version}; the next one is ${d.expected}`,
    remedy: 'Roots are followed one by one. Fetch the missing ones.',
  },
  BUNDLE_JWK: {
    ...reject,
    say: (d: { why: string }) => `the key set cannot be used: ${d.why}`,
    remedy: 'Ask its publisher for keys of one kind, each with its own kid and alg.',
  },
  BUNDLE_JWS: {
    ...reject,
    say: (d: { why: string }) => `the signed token is refused: ${d.why}`,
    remedy: 'Ask its issuer for a compact JWS under a key of the pinned set.',
  },
  BUNDLE_REPLAYED: {
    ...reject,
    say: (d: { what: string; issuedAtMs: number; heldMs: number }) =>
      `the ${d.what} was issued at ${at(d.issuedAtMs)}, and one of ${at(d.heldMs)} is held already`,
    remedy: 'Fetch the newest one. If the source keeps serving this one, it replays an old statement.',
  },
  BUNDLE_STALE: {
    ...reject,
    say: (d: { revision: string; staleAtMs: number; nowMs: number }) =>
      `nothing confirms that revision ${d.revision} is still the newest since ${at(d.staleAtMs)}; it is ${at(d.nowMs)}`,
    remedy: 'Fetch a newer freshness statement, or publish one with `sluice publish freshness`.',
  },
  BUNDLE_SUPERSEDED: {
    ...reject,
    say: (d: { revision: string; newest: string }) =>
      `revision ${d.revision} is not the newest: the channel is at ${d.newest}, as its freshness statement says`,
    remedy: 'Fetch the newest bundle. If the source does not serve it, somebody withholds it.',
  },
  BUNDLE_SIGIL_FORM: {
    reaction: 'bug',
    say: (d: { form: string }) => `InvalidOrUnsupportedForm: ${quote(d.form)}`,
    remedy: 'The form is configured with the source: yaml or protobuf. It is never guessed from bytes.',
  },
  BUNDLE_SIGIL_PARAMETERS: {
    reaction: 'bug',
    say: (d: { alg: string }) => `InvalidAlgorithmParameters: ${d.alg} takes none`,
    remedy: 'Leave the algorithm parameters out.',
  },
  BUNDLE_SIGIL_KEY: {
    reaction: 'bug',
    say: (d: { why: string }) => `KeyResolutionFailure: ${d.why}`,
    remedy: 'Give a key that was enrolled for the algorithm of the signature.',
  },
  BUNDLE_SIGIL_POLICY: {
    reaction: 'bug',
    say: (d: { why: string }) => `TrustPolicyConfigurationError: ${d.why}`,
    remedy: 'Configure the profile as Strict and the algorithms by name.',
  },
  BUNDLE_SIGIL_PRE_VERIFY: {
    reaction: 'bug',
    say: () => 'InvalidPreVerifyResult: this was not made by preVerify, or was not Ok',
    remedy: 'Pass on what preVerify returned, unchanged.',
  },
  BUNDLE_SIGIL_CARRIER: {
    ...reject,
    say: (d: { why: string }) => `InvalidSignatureCarrier: ${d.why}`,
    remedy: 'The signature document must be one that a strict verifier accepts, without a marker line.',
  },
} as const

export const bundleFault = faultsOf(BUNDLE_FAULTS)
