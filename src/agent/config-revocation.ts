// The section `revocation` of agent.yaml: whose security events are believed, how they come, and what silence means. What an operator
// may choose lies within fixed bounds: an event that takes authority away always fences, whatever stands here.

import type { Note } from '../base/note.js'
import { EVENT_NAMES, type EventName } from '../revocation/events.js'
import { SET_ALGORITHMS, type SetAlgorithm } from '../revocation/model.js'
import type { Keys } from './config.js'
import { flag, listenAddress, listOf, oneOf, path, type Read, seconds, text, Wrong, word } from './config-values.js'

interface AnyStream {
  readonly name: string
  readonly issuer: string
  readonly audience: readonly string[]
  /** A JWK set. */
  readonly keys: string
  readonly algorithms: readonly SetAlgorithm[]
  readonly events: readonly EventName[]
  readonly criticalMembers: readonly string[]
  readonly riskLevel: 'low' | 'medium' | 'high'
  readonly credentialChange: 'quarantine' | 'alarm'
  readonly silenceMs: number
  /** Absent: the transmitter sends verification events by itself. */
  readonly verification?: { readonly url: string; readonly streamId: string; readonly intervalMs: number }
  /** Push: what the transmitter must present. Poll and verification: what is presented to it. One line. */
  readonly tokenFile?: string
  /** For what is asked of the transmitter. */
  readonly caFile?: string
  readonly certificateFile?: string
  readonly keyFile?: string
}
export interface PushStreamConfig extends AnyStream {
  readonly kind: 'push'
  /** A subject alternative name (URI or DNS) of the transmitter's certificate. */
  readonly client?: string
  readonly verificationTokenFile?: string
}
export interface PollStreamConfig extends AnyStream {
  readonly kind: 'poll'
  readonly url: string
  readonly longPoll: boolean
  readonly intervalMs: number
}
export type StreamConfig = PushStreamConfig | PollStreamConfig

export interface RevocationConfig {
  /** For push. */
  readonly listen?: string
  readonly certificate?: string
  readonly key?: string
  readonly clientCa?: string
  /** From the reception of an event to the fence read back: what this node declares. */
  readonly latencyMs: number
  /** What becomes of this node's workspaces while a stream is silent; at a companion, of what would begin. */
  readonly silence: 'deny' | 'alarm'
  readonly streams: readonly StreamConfig[]
}

const address =
  (what: string): Read<string> =>
  (node) => {
    const value = text(node)
    return value !== undefined && /^https:\/\/[^\s@?#]+$/.test(value) ? value : new Wrong(what)
  }
const issuer: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^\S{1,1024}$/.test(value) ? value : new Wrong('an issuer, exactly as it stands in iss')
}
const streamName: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[a-z0-9][a-z0-9-]{0,31}$/.test(value)
    ? value
    : new Wrong('a name of lower-case letters, digits and -, at most 32')
}

const OPTIONAL = { otherwise: undefined }
/** What a companion may be sent: it has nothing from which it could take a delegation back. */
export const COMPANION_EVENTS = EVENT_NAMES.filter((name) => name !== 'delegation-revoked')
const commonOf = (events: readonly EventName[]) => ({
  name: { field: 'name', read: streamName },
  kind: { field: 'kind', read: oneOf('push', 'poll') },
  issuer: { field: 'issuer', read: issuer },
  audience: { field: 'audience', read: listOf('a list of what aud may say', 1, issuer) },
  keys: { field: 'keys', read: path },
  algorithms: {
    field: 'algorithms',
    read: listOf('a list of algorithms', 1, oneOf(...SET_ALGORITHMS)),
    otherwise: ['RS256'],
  },
  events: { field: 'events', read: listOf('a list of event types', 1, oneOf(...events)), otherwise: events },
  critical_members: { field: 'criticalMembers', read: listOf('a list of members', 0, word), otherwise: [] },
  risk_level: { field: 'riskLevel', read: oneOf('low', 'medium', 'high'), otherwise: 'high' },
  credential_change: { field: 'credentialChange', read: oneOf('quarantine', 'alarm'), otherwise: 'quarantine' },
  silence_seconds: { field: 'silenceMs', read: seconds(2, 86_400), otherwise: 300_000 },
  verification: {
    field: 'verification',
    section: {
      url: { field: 'url', read: address('an address such as https://idp.example/ssf/verify') },
      stream_id: { field: 'streamId', read: issuer },
      interval_seconds: { field: 'intervalMs', read: seconds(1, 86_400), otherwise: 60_000 },
    },
    ...OPTIONAL,
  },
  token_file: { field: 'tokenFile', read: path, ...OPTIONAL },
  ca: { field: 'caFile', read: path, ...OPTIONAL },
  certificate: { field: 'certificateFile', read: path, ...OPTIONAL },
  key: { field: 'keyFile', read: path, ...OPTIONAL },
})

const streamKeysOf = (events: readonly EventName[]) =>
  ({
    push: {
      ...commonOf(events),
      client: { field: 'client', read: issuer, ...OPTIONAL },
      verification_token_file: { field: 'verificationTokenFile', read: path, ...OPTIONAL },
    },
    poll: {
      ...commonOf(events),
      url: { field: 'url', read: address('an address such as https://idp.example/ssf/poll') },
      long_poll: { field: 'longPoll', read: flag, otherwise: true },
      interval_seconds: { field: 'intervalMs', read: seconds(1, 300), otherwise: 5_000 },
    },
  }) as const satisfies Readonly<Record<StreamConfig['kind'], Keys>>

/** `events`: those that a stream may be allowed to send, and is where nothing is said. */
export const revocationKeys = (events: readonly EventName[]) =>
  ({
    listen: { field: 'listen', read: listenAddress, ...OPTIONAL },
    certificate: { field: 'certificate', read: path, ...OPTIONAL },
    key: { field: 'key', read: path, ...OPTIONAL },
    client_ca: { field: 'clientCa', read: path, ...OPTIONAL },
    latency_seconds: { field: 'latencyMs', read: seconds(1, 300), otherwise: 5_000 },
    silence: { field: 'silence', read: oneOf('deny', 'alarm'), otherwise: 'deny' },
    streams: { field: 'streams', list: { by: 'kind', keys: streamKeysOf(events) } },
  }) as const satisfies Keys

export const REVOCATION_KEYS = revocationKeys(EVENT_NAMES)

/** What no single key can say: who listens, and how a transmitter is known. */
export function revocationNotes(config: RevocationConfig, file: string): readonly Note[] {
  const notes: Note[] = []
  const error = (path: string, say: string): void => {
    notes.push({ code: 'bad-value', severity: 'error', file, line: 0, column: 0, path, say })
  }
  const { listen, certificate, key, clientCa, streams } = config
  if (streams.length === 0) error('revocation.streams', 'at least one stream is expected')
  for (const [i, stream] of streams.entries()) {
    const at = `revocation.streams[${i}]`
    const { certificateFile, keyFile, verification, silenceMs } = stream
    if ((certificateFile === undefined) !== (keyFile === undefined)) error(at, 'certificate and key come together')
    if (verification && verification.intervalMs * 2 > silenceMs)
      error(at, 'silence_seconds must be at least twice the interval of verification, or every delay is silence')
    if (stream.kind !== 'push') continue
    if (listen === undefined || certificate === undefined || key === undefined)
      error(at, 'a push stream needs revocation.listen, revocation.certificate and revocation.key')
    if (stream.tokenFile === undefined && stream.client === undefined)
      error(at, 'a push stream needs token_file, client, or both: how else would its transmitter be known?')
    if (stream.client !== undefined && clientCa === undefined) error(at, 'client needs revocation.client_ca')
  }
  if (listen !== undefined && !streams.some(({ kind }) => kind === 'push'))
    error('revocation.listen', 'there is no push stream to listen for')
  return notes
}
