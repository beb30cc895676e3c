// The HTTPS transport: a published folder behind any web server. Conditional requests (RFC 9110 section 13) keep polling
// cheap; redirects are refused, since the address that was pinned is the one that is meant.

import { digestOf } from '../../base/digest.js'
import { LIMITS } from '../../base/limits.js'
import { type Ask, download, isEntityTag, statusFault } from './answer.js'
import { readBundleArchive } from './archive.js'
import { transportFault } from './errors.js'
import {
  BUNDLE_ARCHIVE,
  channelSegment,
  FRESHNESS_FILE,
  ROOT_STATEMENT_BYTES,
  ROOTS_FOLDER,
  rootFile,
  rootVersionsAfter,
} from './layout.js'
import type { Deadlines, Fetched, OnProgress, Transport } from './transport.js'
import { Wire, type WireTrust } from './wire.js'

export interface HttpsTerms extends WireTrust {
  /** Of the published folder. */
  readonly base: URL
  readonly token?: string
  readonly deadlines?: Deadlines
  readonly onProgress?: OnProgress
}

/** Throws TRANSPORT_SOURCE for an address that is not plain https. */
export function httpsTransport(terms: HttpsTerms): Transport {
  const { base, onProgress } = terms
  if (base.protocol !== 'https:' || base.search !== '' || base.hash !== '' || base.username !== '')
    throw transportFault('TRANSPORT_SOURCE', {
      source: base.href,
      why: 'https without user, query and fragment is used',
    })
  const wire = new Wire(terms, terms.deadlines)
  const ask: Ask = (wanted) => wire.exchange(wanted)
  const root = base.href.endsWith('/') ? base.href : `${base.href}/`
  const authorization: Record<string, string> =
    terms.token === undefined ? {} : { authorization: `Bearer ${terms.token}` }

  async function get(path: string, maxBytes: number, condition: Record<string, string> = {}) {
    const url = new URL(path, root)
    const headers = { ...authorization, ...condition }
    const answer = await download(ask, { url, headers, maxBytes, what: path, onProgress, immutable: false })
    if (![200, 304, 404].includes(answer.status)) throw statusFault(answer.status, url, answer.headers)
    return { ...answer, url }
  }

  async function later(version: number | undefined): Promise<Uint8Array[]> {
    const roots: Uint8Array[] = []
    for (const next of rootVersionsAfter(version)) {
      const { status, body } = await get(`${ROOTS_FOLDER}/${rootFile(next)}`, ROOT_STATEMENT_BYTES)
      if (status !== 200) break
      roots.push(body)
    }
    return roots
  }

  return {
    name: root,
    close: () => wire.close(),
    async fetch(channel, since): Promise<Fetched> {
      const folder = `channels/${channelSegment(channel)}`
      wire.begin()
      const roots = await later(since.rootVersion)
      const fresh = await get(`${folder}/${FRESHNESS_FILE}`, LIMITS.freshnessBytes)
      const news = { roots, ...(fresh.status === 200 ? { freshness: fresh.body } : {}) }
      const { tag } = since
      const condition: Record<string, string> = tag !== undefined && isEntityTag(tag) ? { 'if-none-match': tag } : {}
      const { status, headers, body, url } = await get(`${folder}/${BUNDLE_ARCHIVE}`, LIMITS.archiveBytes, condition)
      if (status === 304 && tag !== undefined) return { kind: 'unchanged', ...news }
      if (status !== 200) throw statusFault(status, url, headers)
      const entityTag = headers.get('etag') ?? ''
      const now = isEntityTag(entityTag) ? entityTag : digestOf(body)
      if (now === tag) return { kind: 'unchanged', ...news }
      return { kind: 'delivered', bundle: await readBundleArchive(body), tag: now, ...news }
    },
    push() {
      return Promise.reject(
        transportFault('TRANSPORT_SOURCE', {
          source: root,
          why: 'a web server is filled by other means; push to a folder',
        }),
      )
    },
  }
}
