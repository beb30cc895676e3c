// What a bundle says about itself, without trusting a word of it: for people who look at a file. Nothing here may be used
// to decide anything; the type says `unverified`, and so must whoever prints it. Never throws for any bytes.

import { hex } from '../base/bytes.js'
import { type Digest, digestOf, sha256 } from '../base/digest.js'
import { Fault } from '../base/fault.js'
import type { Note } from '../base/note.js'
import { parseManifest } from './manifest.js'
import { requireSizes } from './members.js'
import type { BundleBytes, Manifest, Release } from './model.js'
import { parseRelease } from './release.js'
import { decomposeYaml } from './sigil/decompose.js'
import { preVerify } from './sigil/verify.js'
import { claimedSigners, readEnvelope } from './statement.js'

export interface Inspection {
  readonly unverified: true
  readonly manifest?: Manifest
  /** Digest of what was signed, if the artifact can be taken apart. */
  readonly digest?: Digest
  readonly notes: readonly Note[]
  /** The author that the signature document names. */
  readonly author: { readonly alg?: string; readonly keyid?: string; readonly problem?: string }
  readonly release?: Release
  /** Key ids that the release names; none of them was checked. */
  readonly releasers: readonly string[]
  /** Why the release cannot be shown, with the code that verification would give. */
  readonly releaseProblem?: { readonly code: string; readonly say: string }
  readonly members: readonly {
    readonly path: string
    readonly size: number
    readonly sha256: string
    readonly listed: boolean
  }[]
}

/**
 * Enough for 1,024 members. YAML costs some microseconds a token, and the agent looks at what it refused: a stranger must
 * not be able to hold it up.
 */
const UNVERIFIED = { bytes: 256 * 1024, nodes: 10_000 } as const

/** Throws only BUNDLE_TOO_LARGE and BUNDLE_TOO_MANY: limits hold for looking, too. */
export function inspectBundle(bytes: BundleBytes): Inspection {
  requireSizes(bytes)
  const parts = decomposeYaml(bytes.manifest)
  const payload = parts.outcome === 'Ok' ? parts.payload : undefined
  const { manifest, notes } =
    payload === undefined ? { manifest: undefined, notes: [] } : parseManifest(payload, UNVERIFIED)
  const { alg, keyid, outcome, why } = preVerify('yaml', bytes.manifest)
  const listed = new Set(manifest?.members.map(({ path }) => path))
  return {
    unverified: true,
    ...(manifest === undefined ? {} : { manifest }),
    ...(payload === undefined ? {} : { digest: digestOf(payload) }),
    notes,
    author: {
      ...(alg === undefined ? {} : { alg }),
      ...(keyid === undefined ? {} : { keyid }),
      ...(outcome === 'Ok' ? {} : { problem: `${outcome}: ${why}` }),
    },
    ...inspectRelease(bytes.release),
    members: [...bytes.members].map(([path, content]) => ({
      path,
      size: content.length,
      sha256: hex(sha256(content)),
      listed: listed.has(path),
    })),
  }
}

function inspectRelease(bytes: Uint8Array | undefined): Pick<Inspection, 'release' | 'releasers' | 'releaseProblem'> {
  if (bytes === undefined) return { releasers: [] }
  try {
    const envelope = readEnvelope(bytes, 'release')
    return { release: parseRelease(envelope.statement), releasers: claimedSigners(envelope) }
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { releasers: [], releaseProblem: { code: error.code, say: error.message } }
  }
}
