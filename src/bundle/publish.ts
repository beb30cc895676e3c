// The publisher's side of releases: the next statement for content that exists already. Promoting puts the same bundle on
// another channel, rolling back puts older content on the same channel under a higher revision, and a freshness statement
// confirms what a release names. Pure: statements out, signatures are added one by one (`sign.ts`).
//
// Refuses what no node could accept: a revision that does not rise, a validity that the author's manifest does not cover.

import { decodeBase64url, decodeUtf8 } from '../base/bytes.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import { bundleFault } from './errors.js'
import type { Freshness } from './freshness.js'
import { parseManifest } from './manifest.js'
import type { Manifest, Release, TrustRoot } from './model.js'
import { parseRelease } from './release.js'
import { thresholdOf } from './root.js'
import { decomposeYaml } from './sigil/decompose.js'
import { makeRelease, type ReleaseTerms } from './sign.js'
import { goodSigners, readEnvelope, STATEMENTS, type StatementKind } from './statement.js'

/** A bundle as its publisher holds it. The author's signature is not checked here: releasing is a judgement. */
export interface Published {
  readonly manifest: Uint8Array
  readonly members: ReadonlyMap<string, Uint8Array>
}

/** What a release file says; its signatures are not checked. Throws BUNDLE_STATEMENT and the like. */
export const readRelease = (file: Uint8Array): Release => parseRelease(readEnvelope(file, 'release').statement)

export type NextTerms = Omit<ReleaseTerms, 'channel' | 'audience' | 'epoch'> &
  Partial<Pick<ReleaseTerms, 'channel' | 'audience' | 'epoch'>>

/**
 * The release that follows `current` on its channel with the content of `content`: to go back, `content` is an older
 * bundle. Throws BUNDLE_COUNTER_REGRESSION when the revision is not higher.
 */
export function succeed(current: Release, content: Published, terms: NextTerms): Release {
  const { channel, audience, epoch } = current
  const next = { channel, audience, epoch, ...terms }
  requireHigher(current, next)
  return covered(content, makeRelease(content.manifest, content.members, next))
}

/** The release that puts the content of `from` on another channel; `target` is what that channel has now, if anything. */
export function promote(from: Release, content: Published, terms: NextTerms & { channel: string }, target?: Release) {
  const { audience, epoch } = from
  const next = { audience, epoch, ...terms }
  if (target !== undefined) requireHigher(target, next)
  const release = covered(content, makeRelease(content.manifest, content.members, next))
  // The promoted content must be the one that was tried: never merely one with the same name.
  if (release.bundleDigest !== from.bundleDigest)
    throw bundleFault('BUNDLE_RELEASE_MISMATCH', { what: 'the manifest digest' })
  return release
}

function requireHigher(current: Release, next: ReleaseTerms): void {
  if (next.epoch > current.epoch) return
  if (next.epoch < current.epoch || next.policyRevision <= current.policyRevision)
    throw bundleFault('BUNDLE_COUNTER_REGRESSION', {
      what: 'new release',
      revision: String(next.policyRevision),
      held: String(current.policyRevision),
    })
}

/** A release that outlives its manifest would promise what no node accepts. */
function covered(content: Published, release: Release): Release {
  const { expiresAtMs } = manifestOf(content.manifest)
  if (release.notBeforeMs >= expiresAtMs)
    throw bundleFault('BUNDLE_EXPIRED', { what: 'manifest', expiresAtMs, nowMs: release.notBeforeMs })
  return release
}

function manifestOf(artifact: Uint8Array): Manifest {
  const parts = decomposeYaml(artifact)
  if (parts.outcome !== 'Ok') throw bundleFault('BUNDLE_UNSIGNED', undefined)
  const { manifest, notes } = parseManifest(parts.payload)
  if (manifest === undefined) throw bundleFault('BUNDLE_MANIFEST', { errors: notes.length }, { notes })
  return manifest
}

/** The statement that confirms a release as the newest of its channel. */
export const confirmationOf = (release: Release, issuedAtMs: number, lifetimeMs: number): Freshness => ({
  channel: release.channel,
  audience: release.audience,
  epoch: release.epoch,
  policyRevision: release.policyRevision,
  bundleDigest: release.bundleDigest,
  issuedAtMs,
  expiresAtMs: issuedAtMs + lifetimeMs,
})

/** How far a statement is from being accepted. */
export interface Progress {
  readonly role: string
  /** Key ids with a good signature, sorted; each distinct public key counts once. */
  readonly signers: readonly string[]
  readonly need: number
  readonly complete: boolean
}

/** Counts the good signatures of a statement file under this root. Throws for a malformed file or a wrong signature. */
export async function progressOf(kind: StatementKind, file: Uint8Array, trust: TrustRoot): Promise<Progress> {
  const { role } = STATEMENTS[kind]
  const signers = await goodSigners(readEnvelope(file, kind), trust.keys)
  const need = thresholdOf(trust, role)
  return { role, signers, need, complete: signers.length >= need }
}

/** The kind that a statement file says it is. Throws BUNDLE_STATEMENT for a file that is none. */
export function kindOf(file: Uint8Array): StatementKind {
  const format = formatOf(file)
  const kind = (Object.keys(STATEMENTS) as StatementKind[]).find((name) => STATEMENTS[name].format === format)
  if (kind === undefined)
    throw bundleFault('BUNDLE_STATEMENT', {
      what: 'file',
      why: `it holds none of ${Object.keys(STATEMENTS).join(', ')}`,
    })
  readEnvelope(file, kind)
  return kind
}

function formatOf(file: Uint8Array): unknown {
  try {
    const envelope = parseJson(decodeUtf8(file) ?? '')
    const payload =
      isObject(envelope) && typeof envelope.payload === 'string' ? decodeBase64url(envelope.payload) : undefined
    const statement = payload && parseJson(decodeUtf8(payload) ?? '')
    return isObject(statement) ? statement.format : undefined
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}
