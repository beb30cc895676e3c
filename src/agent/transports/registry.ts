// One repository of an OCI registry (distribution-spec 1.1), as much of it as bundles need: manifests by tag and digest,
// blobs down and up in pieces, referrers with the tag fallback. Over HTTPS only.
//
// Content is named by digest and recomputed here; size is compared before the hash. A blob may be redirected, and then
// neither the credential nor the pins of this registry go along; everything else stays on the host that was configured.

import { type Digest, digestOf } from '../../base/digest.js'
import { Fault } from '../../base/fault.js'
import { type Ask, download, statusFault } from './answer.js'
import { type Blobs, NO_BLOBS } from './blobs.js'
import { transportFault } from './errors.js'
import {
  type Descriptor,
  INDEX_TYPE,
  MANIFEST_BYTES,
  MANIFEST_TYPE,
  readArtifact,
  readIndex,
  writeIndex,
} from './oci-model.js'
import type { Deadlines, OnProgress } from './transport.js'
import { Wire, type WireAnswer, type WireRequest, type WireTrust } from './wire.js'

export interface RegistryTerms extends WireTrust {
  /** `https://HOST:PORT`. */
  readonly origin: URL
  /** Name of the repository. */
  readonly name: string
  /** The whole value of the Authorization header. */
  readonly authorization?: string
  readonly deadlines?: Deadlines
  readonly blobs?: Blobs
  readonly onProgress?: OnProgress
}

const REDIRECTS = 3
const CHUNK_BYTES = 1 << 20
/** An upload is taken up again this often after the line broke. */
const UPLOAD_ATTEMPTS = 4

export interface Named {
  readonly bytes: Uint8Array
  readonly digest: Digest
}

export class Registry {
  readonly host: string
  private readonly wire: Wire
  private readonly elsewhere: Wire

  constructor(private readonly terms: RegistryTerms) {
    this.host = terms.origin.host
    this.wire = new Wire(terms, terms.deadlines)
    this.elsewhere = new Wire(terms.ca === undefined ? {} : { ca: terms.ca }, terms.deadlines)
  }

  close(): void {
    this.wire.close()
    this.elsewhere.close()
  }

  /** From here everything together has one total deadline; a push has none but those of its pieces. */
  begin(what: 'fetch' | 'push'): void {
    const together = what === 'push' ? [Number.POSITIVE_INFINITY] : []
    this.wire.begin(...together)
    this.elsewhere.begin(...together)
  }

  private at(path: string): URL {
    return new URL(`/v2/${this.terms.name}/${path}`, this.terms.origin)
  }

  private own(wanted: WireRequest): Promise<WireAnswer> {
    const { authorization } = this.terms
    const headers = { ...wanted.headers, ...(authorization === undefined ? {} : { authorization }) }
    return this.wire.exchange({ ...wanted, headers })
  }

  /** A manifest by tag or digest; undefined when there is none. By digest it is recomputed: TRANSPORT_DIGEST. */
  async manifest(reference: string, type: string, held?: Digest): Promise<Named | 'unchanged' | undefined> {
    const url = this.at(`manifests/${reference}`)
    const headers = { accept: type, ...(held === undefined ? {} : { 'if-none-match': `"${held}"` }) }
    const { status, headers: said, body } = await this.own({ method: 'GET', url, headers, maxBytes: MANIFEST_BYTES })
    if (status === 404) return undefined
    if (status === 304 && held !== undefined) return 'unchanged'
    if (status !== 200) throw statusFault(status, url, said)
    const digest = digestOf(body)
    if (reference.startsWith('sha256:') && digest !== reference) throw this.wrongDigest(reference, digest)
    return { bytes: body, digest }
  }

  private wrongDigest(expected: string, got: string): Fault {
    return transportFault('TRANSPORT_DIGEST', { host: this.host, expected, got })
  }

  /** A blob of at most `limit` octets. Throws TRANSPORT_TOO_LARGE before anything is asked for, TRANSPORT_DIGEST. */
  async blob({ digest, size }: Descriptor, what: string, limit: number): Promise<Uint8Array> {
    if (size > limit) throw transportFault('TRANSPORT_TOO_LARGE', { what, limit })
    const { blobs = NO_BLOBS, onProgress } = this.terms
    const kept = blobs.whole(digest, size)
    if (kept !== undefined) {
      onProgress?.({ what, done: size, total: size, reused: true })
      return kept
    }
    const url = this.at(`blobs/${digest}`)
    const keep = (chunk: Uint8Array, reset: boolean) => blobs.append(digest, chunk, reset)
    const part = blobs.part(digest, size)
    const ask: Ask = (wanted) => this.follow(wanted)
    const answer = await download(ask, { url, maxBytes: size, what, onProgress, immutable: true, part, keep })
    if (answer.status !== 200) throw statusFault(answer.status, url, answer.headers)
    const got = answer.body.length === size ? digestOf(answer.body) : `${answer.body.length} octets`
    if (got !== digest) {
      blobs.drop(digest)
      throw this.wrongDigest(digest, got)
    }
    if (size > 0) blobs.finish(digest)
    return answer.body
  }

  /** A GET that goes where the registry keeps its blobs: the credential stays here. */
  private async follow(wanted: WireRequest): Promise<WireAnswer> {
    let answer = await this.own(wanted)
    let { url } = wanted
    for (let hop = 0; [301, 302, 303, 307, 308].includes(answer.status); hop++) {
      const to = answer.headers.get('location')
      if (to === null || hop === REDIRECTS) throw statusFault(answer.status, url, answer.headers)
      url = new URL(to, url)
      const next = { ...wanted, url }
      answer = await (url.origin === this.terms.origin.origin ? this.own(next) : this.elsewhere.exchange(next))
    }
    return answer
  }

  /** Those whose subject is `digest`, of one artifact type, as far as the registry shows them. */
  async referrers(digest: Digest, artifactType: string): Promise<Descriptor[]> {
    const url = this.at(`referrers/${digest}`)
    url.searchParams.set('artifactType', artifactType)
    const accept = { accept: INDEX_TYPE }
    const answer = await this.own({ method: 'GET', url, headers: accept, maxBytes: MANIFEST_BYTES })
    let list: Descriptor[]
    if (answer.status === 200) list = readIndex(answer.body, this.host)
    else if (answer.status === 404) list = await this.fallback(digest)
    else throw statusFault(answer.status, url, answer.headers)
    // The filter of the registry is a courtesy.
    return list.filter((one) => one.artifactType === artifactType)
  }

  /** The list under the tag `sha256-HEX`, where a registry has no referrers of its own. */
  private async fallback(digest: Digest): Promise<Descriptor[]> {
    const found = await this.manifest(fallbackTag(digest), INDEX_TYPE)
    return found === undefined || found === 'unchanged' ? [] : readIndex(found.bytes, this.host)
  }

  /** Puts a manifest under a tag or its digest. `subject` is what it refers to. */
  async putManifest(reference: string, bytes: Uint8Array, subject?: Digest): Promise<void> {
    const url = this.at(`manifests/${reference}`)
    const headers = { 'content-type': MANIFEST_TYPE }
    const { status, headers: said } = await this.own({
      method: 'PUT',
      url,
      headers,
      body: bytes,
      maxBytes: MANIFEST_BYTES,
    })
    if (status !== 201) throw statusFault(status, url, said)
    if (subject === undefined || said.get('oci-subject') === subject) return
    await this.addReferrer(subject, bytes)
  }

  /** Read, add, write, read again: two publishers at once must not lose one's entry. */
  private async addReferrer(subject: Digest, bytes: Uint8Array): Promise<void> {
    const { artifactType, annotations } = readArtifact(bytes, 'release', this.host)
    const added: Descriptor = {
      mediaType: MANIFEST_TYPE,
      digest: digestOf(bytes),
      size: bytes.length,
      artifactType,
      annotations,
    }
    const url = this.at(`manifests/${fallbackTag(subject)}`)
    for (let attempt = 0; attempt < UPLOAD_ATTEMPTS; attempt++) {
      const list = await this.fallback(subject)
      if (list.some((one) => one.digest === added.digest)) return
      const headers = { 'content-type': INDEX_TYPE }
      const body = writeIndex([...list, added])
      const { status, headers: said } = await this.own({ method: 'PUT', url, headers, body, maxBytes: MANIFEST_BYTES })
      if (status !== 201) throw statusFault(status, url, said)
      if ((await this.fallback(subject)).some((one) => one.digest === added.digest)) return
    }
    throw transportFault('TRANSPORT_CONFLICT', { what: `the list of referrers of ${subject}` })
  }

  /** Sends a blob unless it is there; in pieces, and from where it stopped when the line breaks. */
  async putBlob(bytes: Uint8Array, what: string): Promise<Digest> {
    const { onProgress } = this.terms
    const digest = digestOf(bytes)
    const total = bytes.length
    const head = await this.own({ method: 'HEAD', url: this.at(`blobs/${digest}`), maxBytes: 0 })
    if (head.status === 200) {
      onProgress?.({ what, done: total, total, reused: true })
      return digest
    }
    const begun = await this.own({
      method: 'POST',
      url: this.at('blobs/uploads/'),
      body: new Uint8Array(0),
      maxBytes: 65_536,
    })
    if (begun.status !== 202) throw statusFault(begun.status, this.at('blobs/uploads/'), begun.headers)
    let url = this.sameHost(begun.headers, this.at('blobs/uploads/'))
    let sent = 0
    for (let broken = 0; sent < total; ) {
      const body = bytes.subarray(sent, sent + CHUNK_BYTES)
      const range = `${sent}-${sent + body.length - 1}`
      try {
        const headers = { 'content-type': 'application/octet-stream', 'content-range': range }
        const answer = await this.own({ method: 'PATCH', url, headers, body, maxBytes: 65_536 })
        if (answer.status !== 202) throw statusFault(answer.status, url, answer.headers)
        url = this.sameHost(answer.headers, url)
        sent += body.length
      } catch (error) {
        if (!(error instanceof Fault) || error.reaction !== 'retry' || ++broken >= UPLOAD_ATTEMPTS) throw error
        ;({ url, sent } = await this.uploaded(url, sent))
      }
      onProgress?.({ what, done: sent, total })
    }
    const last = new URL(url)
    last.searchParams.set('digest', digest)
    const done = await this.own({ method: 'PUT', url: last, body: new Uint8Array(0), maxBytes: 65_536 })
    if (done.status !== 201) throw statusFault(done.status, last, done.headers)
    return digest
  }

  /** How much of an upload has arrived. */
  private async uploaded(url: URL, sent: number): Promise<{ url: URL; sent: number }> {
    const { status, headers } = await this.own({ method: 'GET', url, maxBytes: 65_536 })
    if (status !== 204 && status !== 202) throw statusFault(status, url, headers)
    const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(headers.get('range') ?? '')?.[1]
    const arrived = last === undefined ? 0 : Number(last) + 1
    // Some registries answer 0-0 for nothing at all; what was acknowledged before can only have grown.
    return { url: this.sameHost(headers, url), sent: arrived <= 1 ? sent : arrived }
  }

  private sameHost(headers: Headers, from: URL): URL {
    const to = headers.get('location')
    const url = new URL(to ?? from.href, from)
    if (url.origin !== this.terms.origin.origin)
      throw transportFault('TRANSPORT_REDIRECT', { host: this.host, to: url.href })
    return url
  }
}

export const fallbackTag = (digest: Digest): string => digest.replace(':', '-')
