// The archive transport: a bundle as one .tgz file, and the writer of such files. The writer is deterministic: the same
// members give the same tar octets, so that an archive can be compared by digest.

import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { pack } from 'tar-stream'
import { type BundleBytes, MANIFEST_FILE, RELEASE_FILE } from '../../bundle/model.js'
import { gunzip } from './gzip.js'
import { Parcel } from './parcel.js'
import { unpackTar } from './tar.js'

/** Unpacks an archive in memory. Throws TRANSPORT_*. */
export async function readBundleArchive(file: Uint8Array): Promise<BundleBytes> {
  const parcel = new Parcel()
  unpackTar(await gunzip(file), parcel)
  return parcel.deliver()
}

/** The octets of a .tgz: manifest, release, then members by path; no owner, no time, mode 0644. */
export async function writeBundleArchive(bundle: BundleBytes): Promise<Uint8Array> {
  const files: (readonly [string, Uint8Array])[] = [
    [MANIFEST_FILE, bundle.manifest],
    ...(bundle.release === undefined ? [] : [[RELEASE_FILE, bundle.release] as const]),
    ...[...bundle.members].sort(([a], [b]) => (a < b ? -1 : 1)),
  ]
  const archive = pack()
  for (const [name, content] of files) archive.entry({ name, mode: 0o644, mtime: new Date(0) }, Buffer.from(content))
  archive.finalize()
  return promisify(gzip)(await buffer(archive), { level: 9 })
}
