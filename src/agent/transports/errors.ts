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
  TRANSPORT_SOURCE: {
    reaction: 'reject',
    say: (d: { source: string; why: string }) => `${quote(d.source, 200)} is not a source of bundles: ${d.why}`,
    remedy:
      'Give a directory, https://HOST/PATH, git+https://HOST/PATH, git+ssh://HOST/PATH, git+file:///PATH or oci://HOST/NAME.',
  },
  TRANSPORT_UNREACHABLE: {
    reaction: 'retry',
    say: (d: { host: string }) => `${quote(d.host)} cannot be reached`,
    remedy:
      'Look at the cause: name, route, or a server that is down. What is live stays enforced until it goes stale.',
  },
  TRANSPORT_DEADLINE: {
    reaction: 'retry',
    say: (d: { host: string; what: 'connect' | 'idle' | 'total'; limitMs: number }) =>
      `${quote(d.host)} exceeded the ${d.what} deadline of ${d.limitMs} ms`,
    remedy: 'Try again later. A server that always does this is broken, or holds the node up on purpose.',
  },
  TRANSPORT_TOO_SLOW: {
    reaction: 'retry',
    say: (d: { host: string; rate: number; limit: number }) =>
      `${quote(d.host)} sends ${d.rate} octets a second; at least ${d.limit} are expected`,
    remedy: 'Try again later. A server that always does this is broken, or holds the node up on purpose.',
  },
  TRANSPORT_TLS: {
    reaction: 'reject',
    say: (d: { host: string; why: string }) => `${quote(d.host)} is not the server that was configured: ${d.why}`,
    remedy: 'Check the CA file and the pins. If they are right, somebody stands between this node and the server.',
  },
  TRANSPORT_REDIRECT: {
    reaction: 'reject',
    say: (d: { host: string; to: string }) =>
      `${quote(d.host)} redirects to ${quote(d.to, 200)}, which is not followed`,
    remedy: 'Configure the address where the bundle really lies.',
  },
  TRANSPORT_DENIED: {
    reaction: 'reject',
    say: (d: { host: string; status: number }) => `${quote(d.host)} answers ${d.status}: it does not know this node`,
    remedy: 'Check the credential that the source needs.',
  },
  TRANSPORT_STATUS: {
    reaction: 'retry',
    say: (d: { host: string; status: number }) => `${quote(d.host)} answers with status ${d.status}`,
    remedy: 'Try again later; look at the log of the server.',
  },
  TRANSPORT_PROTOCOL: {
    reaction: 'reject',
    say: (d: { host: string; why: string }) => `the answer of ${quote(d.host)} cannot be used: ${d.why}`,
    remedy: 'Check that the source is what the address says. Nothing of the answer was used.',
  },
  TRANSPORT_CUT: {
    reaction: 'retry',
    say: (d: { host: string; size: number }) => `${quote(d.host)} broke off after ${d.size} octets`,
    remedy: 'Try again: what has arrived is kept and the rest is fetched.',
  },
  TRANSPORT_DIGEST: {
    reaction: 'reject',
    say: (d: { host: string; expected: string; got: string }) =>
      `${quote(d.host)} served ${d.got} in the place of ${d.expected}`,
    remedy: 'The store is damaged or somebody changed it. Nothing of it was used.',
  },
  TRANSPORT_NO_RELEASE: {
    reaction: 'reject',
    say: (d: { host: string; channel: string }) =>
      `${quote(d.host)} shows no release for channel ${quote(d.channel)} beside the bundle`,
    remedy: 'Push the release with `sluice bundle push`. If it was pushed, the registry hides it.',
  },
  TRANSPORT_CONFLICT: {
    reaction: 'stale',
    say: (d: { what: string }) => `${d.what} was changed by somebody else meanwhile`,
    remedy: 'Fetch what is there now, and push again.',
  },
  TRANSPORT_GIT: {
    reaction: 'retry',
    say: (d: { step: string; say: string }) => `git ${d.step} failed: ${d.say}`,
    remedy: 'Look at the message of git: address, ref, credential or network.',
  },
  TRANSPORT_GIT_MISSING: {
    reaction: 'unsupported',
    say: () => 'git is not installed on this machine',
    remedy: 'Install the package git, or use another transport.',
  },
} as const

export const transportFault = faultsOf(TRANSPORT_FAULTS)
