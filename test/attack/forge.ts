// What an attacker makes: bundles taken apart and put together again, statements with other words under real or stolen
// keys, headers that no signer of ours would write.

import { readBundleArchive, writeBundleArchive } from '../../src/agent/transports/archive.js'
import { base64url, decodeBase64url, decodeUtf8, utf8 } from '../../src/base/bytes.js'
import { canonicalize, type Json } from '../../src/base/canonical.js'
import type { BundleBytes } from '../../src/bundle/model.js'
import { signSigil } from '../../src/bundle/sign.js'
import type { Fleet } from '../support/fleet.js'

const PATH = 'channels/stable/bundle.tgz'

export const served = (fleet: Fleet): Promise<BundleBytes> =>
  readBundleArchive(fleet.published.get(PATH) ?? new Uint8Array(0))
export const serve = async (fleet: Fleet, bundle: BundleBytes): Promise<void> => {
  fleet.published.set(PATH, await writeBundleArchive(bundle))
}
export const serveOctets = (fleet: Fleet, archive: Uint8Array): void => {
  fleet.published.set(PATH, archive)
}
/** Changes what is served. */
export const change = async (fleet: Fleet, how: (bundle: BundleBytes) => Partial<BundleBytes>): Promise<void> => {
  const bundle = await served(fleet)
  await serve(fleet, { ...bundle, ...how(bundle) })
}

export interface Jws {
  readonly payload: string
  readonly signatures: readonly { readonly protected: string; readonly signature: string }[]
}
const text = (bytes: Uint8Array | undefined): string => decodeUtf8(bytes ?? new Uint8Array(0)) ?? ''
export const jwsOf = (bundle: BundleBytes): Jws => JSON.parse(text(bundle.release)) as Jws
export const writeJws = (jws: Jws): Uint8Array => utf8(`${canonicalize(jws as unknown as Json)}\n`)
export const statementOf = (jws: Jws): Record<string, Json> =>
  JSON.parse(text(decodeBase64url(jws.payload))) as Record<string, Json>

export interface Words {
  /** Members of the statement that differ. */
  readonly statement?: Record<string, Json>
  /** Members of each protected header that differ or are added. */
  readonly header?: Record<string, Json>
  /** The payload's octets themselves. */
  readonly octets?: Uint8Array
  /** The text of the protected header itself. */
  readonly headerText?: (kid: string) => string
  readonly keys?: readonly string[]
}

/** The release of what is served with other words, really signed by these keys of the fleet. */
export async function restate(fleet: Fleet, words: Words): Promise<void> {
  const bundle = await served(fleet)
  const statement = { ...statementOf(jwsOf(bundle)), ...words.statement }
  const payload = base64url(words.octets ?? utf8(canonicalize(statement)))
  const signatures: Jws['signatures'][number][] = []
  for (const kid of words.keys ?? ['release-1', 'release-2']) {
    const signer = fleet.signer(kid)
    const header = { alg: signer.alg, kid: signer.kid, typ: 'application/vnd.sluice.release+json', ...words.header }
    const head = base64url(utf8(words.headerText?.(kid) ?? canonicalize(header)))
    signatures.push({ protected: head, signature: base64url(await signer.sign(utf8(`${head}.${payload}`))) })
  }
  await serve(fleet, { ...bundle, release: writeJws({ payload, signatures }) })
}

/** A manifest with any text, really signed by the author. */
export async function remanifest(fleet: Fleet, how: (payload: string, artifact: string) => string): Promise<void> {
  const bundle = await served(fleet)
  const artifact = text(bundle.manifest)
  const payload = artifact.slice(0, artifact.lastIndexOf('---\n'))
  const manifest = await signSigil(utf8(how(payload, artifact)), fleet.signer('author'))
  await serve(fleet, { ...bundle, manifest })
}
