// Why a bundle could not be brought in: the closed set of codes of the transports. Everything a transport reads is the
// attacker's; what it hands on is octets within limits, and nothing more is promised. Trust is bundle/verify's business.

import { faultsOf } from '../../base/fault.js'
import { quote } from '../../base/quote.js'

export const TRANSPORT_FAULTS = {
  TRANSPORT_NOT_FOUND: {
    reaction: 'reject',
    say: (d: { path: string }) => `there is nothing at ${quote(d.path)}`,
    remedy: 'Give the path of a bundle directory or of a .tgz archive.',
  },
  TRANSPORT_KIND: {
    reaction: 'reject',
    say: (d: { path: string }) => `${quote(d.path)} is neither a directory nor a regular file`,
    remedy: 'Give the path of a bundle directory or of a .tgz archive.',
  },
  TRANSPORT_NO_MANIFEST: {
    reaction: 'reject',
    say: () => 'there is no bundle.yaml at the top',
    remedy: 'A bundle has bundle.yaml, release.jws.json and its members, without a folder around them.',
  },
  TRANSPORT_ENTRY: {
    reaction: 'reject',
    say: (d: { path: string; why: string }) => `${quote(d.path)} cannot be part of a bundle: ${d.why}`,
    remedy: 'A bundle holds regular files only. Pack it with `sluice bundle pack`.',
  },
  TRANSPORT_TOO_LARGE: {
    reaction: 'reject',
    say: (d: { what: string; limit: number }) => `${d.what} is larger than ${d.limit} octets`,
    remedy: 'Split the bundle, or remove what does not belong in it.',
  },
  TRANSPORT_TOO_MANY: {
    reaction: 'reject',
    say: (d: { limit: number }) => `there are more than ${d.limit} files and folders`,
    remedy: 'Split the bundle, or remove what does not belong in it.',
  },
  TRANSPORT_RATIO: {
    reaction: 'reject',
    say: (d: { limit: number }) => `the archive unpacks to more than ${d.limit} times its size`,
    remedy: 'A policy bundle does not compress like this; look at where the archive came from.',
  },
  TRANSPORT_ARCHIVE: {
    reaction: 'reject',
    say: (d: { why: string }) => `the archive is malformed: ${d.why}`,
    remedy: 'Pack it again with `sluice bundle pack`, or fetch it again.',
  },
  TRANSPORT_CHANGED: {
    reaction: 'retry',
    say: (d: { path: string }) => `${quote(d.path)} changed while it was read`,
    remedy: 'Wait until the writer has finished; replace bundles by renaming, not by writing in place.',
  },
  TRANSPORT_READ: {
    reaction: 'retry',
    say: (d: { path: string }) => `${quote(d.path)} cannot be read`,
    remedy: 'Look at the cause: permissions, a full table of open files, or a failing disk.',
  },
} as const

export const transportFault = faultsOf(TRANSPORT_FAULTS)
