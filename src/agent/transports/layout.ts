// Where a channel's files lie below a published folder, whether a web server serves it or it is on this machine:
//
//   channels/CHANNEL/bundle.tgz   channels/CHANNEL/freshness.jws.json   roots/VERSION.jws.json
//
// A channel's name becomes one path segment, tag or ref, so that it has a narrower charset here than in a release.

import { LIMITS } from '../../base/limits.js'
import { transportFault } from './errors.js'

export const BUNDLE_ARCHIVE = 'bundle.tgz'
export const FRESHNESS_FILE = 'freshness.jws.json'
export const ROOTS_FOLDER = 'roots'
export const rootFile = (version: number): string => `${version}.jws.json`

/** Octets of a signed root: the document in base64url, and its signatures. */
export const ROOT_STATEMENT_BYTES = 4 * LIMITS.rootBytes

/** Throws TRANSPORT_SOURCE for a channel whose name cannot be one segment. */
export function channelSegment(channel: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(channel) || channel.includes('..') || channel.endsWith('.lock'))
    throw transportFault('TRANSPORT_SOURCE', {
      source: channel,
      why: 'a channel that is fetched has letters, digits and . _ -, at most 64',
    })
  return channel
}

/** Versions to ask for: the next ones, a bounded number. */
export const rootVersionsAfter = (version: number | undefined): number[] =>
  version === undefined ? [] : Array.from({ length: LIMITS.rootSteps }, (_, step) => version + 1 + step)
