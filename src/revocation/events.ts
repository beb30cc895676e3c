// The event types that are understood, as a table: what a payload must be, and what it means for whoever it names. CAEP 1.0, the two
// of SSF 1.0 about the stream itself, and two of our own for what the standards have no word for. An event that takes something
// away fences, and no configuration makes that weaker; only where a signal has degrees may an operator say from which on.
//
// untrusted: payloads, although their sender was authenticated.

import type { Json } from '../base/canonical.js'
import { isObject } from '../base/json.js'

export type Payload = { readonly [member: string]: Json | undefined }

/** What an operator may choose, within these words. */
export interface ReactionTerms {
  /** From this level on a risk-level-change fences. */
  readonly riskLevel: 'LOW' | 'MEDIUM' | 'HIGH'
  /** Of a revoked or deleted credential. */
  readonly credentialChange: 'quarantine' | 'alarm'
}

export type Meaning =
  /** Authority of the subject ends now. */
  | { readonly kind: 'fence' }
  /** Told, and nothing is done. `alarm`: somebody should look. */
  | { readonly kind: 'note'; readonly alarm: boolean }
  | { readonly kind: 'delegation'; readonly issuer: string; readonly delegationId: string }
  | { readonly kind: 'verification'; readonly state?: string }
  | { readonly kind: 'stream'; readonly status: StreamWord }
export type StreamWord = 'enabled' | 'paused' | 'disabled'

interface Row {
  readonly uri: string
  /** What is wrong with a payload beyond the members that all events share; undefined when nothing is. */
  readonly wrong: (payload: Payload) => string | undefined
  readonly means: (payload: Payload, terms: ReactionTerms) => Meaning
}

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'
const OWN = 'https://sluice.dev/secevent/event-type/'

const FENCE: Meaning = { kind: 'fence' }
const NOTE: Meaning = { kind: 'note', alarm: false }
const ALARM: Meaning = { kind: 'note', alarm: true }
const LEVELS = ['LOW', 'MEDIUM', 'HIGH']
const ENTITIES: readonly Json[] = ['admin', 'user', 'policy', 'system']
const text = (payload: Payload, name: string): string | undefined => {
  const value = payload[name]
  return typeof value === 'string' && value !== '' && value.length <= 1_024 ? value : undefined
}
/** -1 where there is none. */
const levelOf = (payload: Payload, name: string): number => LEVELS.indexOf(text(payload, name) ?? '')
const needsText = (payload: Payload, ...names: readonly string[]): string | undefined => {
  const missing = names.find((name) => text(payload, name) === undefined)
  return missing === undefined ? undefined : `${missing} must be a text`
}
const needsWord = (payload: Payload, name: string, words: readonly string[]): string | undefined =>
  words.includes(text(payload, name) ?? '') ? undefined : `${name} must be one of ${words.join(', ')}`

export const EVENTS = {
  /** CAEP 1.0 section 3.1. */
  'session-revoked': { uri: `${CAEP}session-revoked`, wrong: () => undefined, means: () => FENCE },
  /** CAEP 1.0 section 3.3: other types of credential than the listed ones are allowed. */
  'credential-change': {
    uri: `${CAEP}credential-change`,
    wrong: (payload) =>
      needsText(payload, 'credential_type') ??
      needsWord(payload, 'change_type', ['create', 'revoke', 'update', 'delete']),
    means: (payload, { credentialChange }) => {
      if (payload.change_type !== 'revoke' && payload.change_type !== 'delete') return NOTE
      return credentialChange === 'quarantine' ? FENCE : ALARM
    },
  },
  /** CAEP 1.0 section 3.5. */
  'device-compliance-change': {
    uri: `${CAEP}device-compliance-change`,
    wrong: (payload) =>
      needsWord(payload, 'previous_status', ['compliant', 'not-compliant']) ??
      needsWord(payload, 'current_status', ['compliant', 'not-compliant']),
    means: ({ current_status: status }) => (status === 'not-compliant' ? FENCE : NOTE),
  },
  /** CAEP 1.0 section 3.8. */
  'risk-level-change': {
    uri: `${CAEP}risk-level-change`,
    wrong: (payload) =>
      needsText(payload, 'principal') ??
      needsWord(payload, 'current_level', LEVELS) ??
      (payload.previous_level === undefined ? undefined : needsWord(payload, 'previous_level', LEVELS)),
    means: (payload, { riskLevel }) => {
      const [level, before] = [levelOf(payload, 'current_level'), levelOf(payload, 'previous_level')]
      if (level >= LEVELS.indexOf(riskLevel)) return FENCE
      return before >= level ? NOTE : ALARM
    },
  },
  /** SSF 1.0 section 8.1.4. */
  verification: {
    uri: `${SSF}verification`,
    wrong: ({ state }) =>
      state === undefined || (typeof state === 'string' && state.length <= 1_024) ? undefined : 'state must be a text',
    means: ({ state }) => ({ kind: 'verification', ...(typeof state === 'string' ? { state } : {}) }),
  },
  /** SSF 1.0 section 8.1.5. */
  'stream-updated': {
    uri: `${SSF}stream-updated`,
    wrong: (payload) => needsWord(payload, 'status', ['enabled', 'paused', 'disabled']),
    means: ({ status }) => ({ kind: 'stream', status: status as StreamWord }),
  },
  /** Ours: one delegation record is taken back, with all that was delegated under it. */
  'delegation-revoked': {
    uri: `${OWN}delegation-revoked`,
    wrong: (payload) => needsText(payload, 'delegation_issuer', 'delegation_id'),
    means: (payload) => ({
      kind: 'delegation',
      issuer: text(payload, 'delegation_issuer') ?? '',
      delegationId: text(payload, 'delegation_id') ?? '',
    }),
  },
  /** Ours: the kill switch was used; the subject is a workspace, or whoever owns it. */
  'workspace-killed': { uri: `${OWN}workspace-killed`, wrong: () => undefined, means: () => FENCE },
} as const satisfies Readonly<Record<string, Row>>

export type EventName = keyof typeof EVENTS
export const EVENT_NAMES = Object.keys(EVENTS) as readonly EventName[]
const BY_URI: ReadonlyMap<string, EventName> = new Map(EVENT_NAMES.map((name) => [EVENTS[name].uri, name]))

/** undefined for an event type that is not in the table. */
export const eventOfUri = (uri: string): EventName | undefined => BY_URI.get(uri)
const rowOf = (name: EventName): Row => EVENTS[name]

/** What is wrong with the payload of this event; undefined when nothing is. */
export const wrongWith = (name: EventName, payload: Payload): string | undefined =>
  wrongWithCommon(payload) ?? rowOf(name).wrong(payload)

export const meaningOf = (name: EventName, payload: Payload, terms: ReactionTerms): Meaning =>
  rowOf(name).means(payload, terms)

/** CAEP 1.0 section 2: what every event may have. */
function wrongWithCommon(payload: Payload): string | undefined {
  const { event_timestamp: at, initiating_entity: entity } = payload
  if (at !== undefined && !(typeof at === 'number' && at >= 0)) return 'event_timestamp must be a number of seconds'
  if (entity !== undefined && !ENTITIES.includes(entity))
    return 'initiating_entity must be one of admin, user, policy, system'
  const told = ['reason_admin', 'reason_user'].find((name) => !isTold(payload[name]))
  return told === undefined ? undefined : `${told} must be texts by language`
}

const isTold = (value: Json | undefined): boolean =>
  value === undefined || (isObject(value) && Object.values(value).every((one) => typeof one === 'string'))
