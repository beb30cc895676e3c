// YamlSigil v1alpha1, YAML form: splits an artifact into payload and signature document, on bytes alone, before any YAML
// parser sees it. The last constrained marker wins; earlier markers belong to the payload (bundle-trust sheet section 2).
//
// Refuses bytes that are not UTF-8 or begin with a BOM before it looks for a marker, so such input is never `Unsigned`.

import { decodeUtf8 } from '../../base/bytes.js'

/** Half-open byte ranges of the artifact, or why there are none. */
export type Decomposed =
  | { readonly outcome: 'Ok'; readonly payload: Uint8Array; readonly carrier: Uint8Array }
  | { readonly outcome: 'Unsigned' | 'MalformedAttemptedSigned'; readonly why: string }

const LF = 0x0a
const CR = 0x0d
const DASH = 0x2d

/** The marker `---\n` or `---\r\n` that ends at the line feed at `end`: where it begins; undefined if there is none. */
function markerEndingAt(bytes: Uint8Array, end: number): number | undefined {
  const last = bytes[end - 1] === CR ? end - 2 : end - 1
  const begin = last - 2
  const dashes = bytes[begin] === DASH && bytes[begin + 1] === DASH && bytes[last] === DASH
  return dashes && (begin === 0 || bytes[begin - 1] === LF) ? begin : undefined
}

/** Splits the YAML form. The parts are views of the input, not copies. */
export function decomposeYaml(artifact: Uint8Array): Decomposed {
  if (artifact.length === 0) return { outcome: 'Unsigned', why: 'the artifact is empty' }
  if (decodeUtf8(artifact) === undefined)
    return { outcome: 'MalformedAttemptedSigned', why: 'the artifact is not UTF-8, or begins with a byte order mark' }
  for (let end = artifact.lastIndexOf(LF); end >= 3; end = artifact.lastIndexOf(LF, end - 1)) {
    const begin = markerEndingAt(artifact, end)
    if (begin === undefined) continue
    if (end + 1 === artifact.length)
      return { outcome: 'MalformedAttemptedSigned', why: 'nothing follows the last "---" line' }
    return { outcome: 'Ok', payload: artifact.subarray(0, begin), carrier: artifact.subarray(end + 1) }
  }
  return { outcome: 'Unsigned', why: 'there is no "---" line' }
}
