// What the signing commands have in common: private keys by file, and how far a statement is from its threshold when there
// is a trust root to count by.

import { readPrivateKey, signerOf } from '../bundle/key-file.js'
import { type Progress, progressOf } from '../bundle/publish.js'
import type { Signer } from '../bundle/sign.js'
import type { StatementKind } from '../bundle/statement.js'
import { readFile } from './files.js'
import type { Host } from './host.js'
import { readTrust } from './trust.js'

export const signersFrom = (host: Host, files: readonly string[]): readonly Signer[] =>
  files.map((file) => signerOf(readPrivateKey(readFile(host, file, 'private key'))))

/** Signs with each key in turn; `sign` adds one signature to the file so far. */
export async function signWith(
  host: Host,
  files: readonly string[],
  sign: (signer: Signer, before: Uint8Array | undefined) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  let signed: Uint8Array | undefined
  for (const signer of signersFrom(host, files)) signed = await sign(signer, signed)
  return signed ?? new Uint8Array(0)
}

/** Counted under this root; undefined without one. */
export async function progressUnder(
  host: Host,
  rootFile: string | undefined,
  kind: StatementKind,
  file: Uint8Array,
): Promise<Progress | undefined> {
  if (rootFile === undefined) return undefined
  return progressOf(kind, file, await readTrust(host, rootFile))
}

export const progressFacts = (progress: Progress | undefined): (readonly [string, string])[] =>
  progress === undefined
    ? []
    : [
        ['signed by', progress.signers.join(', ') || 'nobody who counts'],
        [
          'threshold',
          progress.complete
            ? `met: ${progress.signers.length} of ${progress.need}`
            : `${progress.signers.length} of ${Number.isFinite(progress.need) ? progress.need : 'a role that the root does not have'}`,
        ],
      ]
