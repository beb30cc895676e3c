// The frame of an OCSF 1.8.0 event: the members that every class requires, written once. Takes the class, the activity
// and the rest; gives a draft without the identity that the journal stamps. Members that are undefined are left out, since
// OCSF knows neither null nor empty text for "unknown" (schema 1.8.0, base_event and metadata).

import type { Json } from '../../base/canonical.js'

export const OCSF_VERSION = '1.8.0'

/** The classes that we emit: uid, and the category, which is the uid's thousands. */
export const CLASS = {
  fileActivity: 1001,
  processActivity: 1007,
  eventLog: 1008,
  detectionFinding: 2004,
  authentication: 3002,
  authorizeSession: 3003,
  entityManagement: 3004,
  networkActivity: 4001,
  dnsActivity: 4003,
  configState: 5019,
  apiActivity: 6003,
  networkRemediation: 7004,
} as const

/** Profiles switch attributes on: action, disposition, policy and rule; device and actor. */
export type Profile = 'security_control' | 'host'

export type LogName = 'sluice.policy' | 'sluice.enforcement' | 'sluice.audit'

/** `severity_id` of the schema. */
export const SEVERITY = { informational: 1, low: 2, medium: 3, high: 4, critical: 5 } as const

export type Members = { readonly [name: string]: Json | undefined }

/** One event, ready to be printed as a line of JSON. Every member is plain JSON; none is null. */
export interface OcsfEvent extends Members {
  readonly class_uid: number
  readonly category_uid: number
  readonly activity_id: number
  readonly type_uid: number
  readonly severity_id: number
  readonly time: number
  readonly metadata: Members
}

/** What is the same for every event of one node and one release of the program. */
export interface OcsfContext {
  readonly version: typeof OCSF_VERSION
  /** Unique ids for the events of one fact, in order; as many as `MAX_EVENTS_PER_FACT`. */
  readonly eventUids: readonly [string, string]
  /** Sequence number of the first event; the second has the next. */
  readonly sequence: number
  readonly product: { readonly name: string; readonly version: string }
  /** The node that reports: its SPIFFE-style id and its host name. */
  readonly reporter: { readonly uid: string; readonly hostname: string }
  readonly correlationUid?: string
}

export interface Draft {
  readonly classUid: (typeof CLASS)[keyof typeof CLASS]
  readonly activityId: number
  readonly severityId: number
  readonly log: LogName
  readonly profiles: readonly Profile[]
  /** Of what it is about, where that has one. */
  readonly correlationUid?: string
  readonly members: Members
}

/** The draft as an event: `index` says which of the fact's events it is. */
export function eventOf(draft: Draft, atMs: number, context: OcsfContext, index: 0 | 1): OcsfEvent {
  return {
    class_uid: draft.classUid,
    category_uid: Math.floor(draft.classUid / 1000),
    activity_id: draft.activityId,
    type_uid: draft.classUid * 100 + draft.activityId,
    time: whole(atMs) ?? 0,
    severity_id: draft.severityId,
    ...present(draft.members),
    metadata: present({
      version: context.version,
      uid: context.eventUids[index],
      sequence: context.sequence + index,
      product: once(context.product, productOf),
      profiles: draft.profiles,
      log_name: draft.log,
      reporter: once(context.reporter, reporterOf),
      correlation_uid: words(draft.correlationUid ?? context.correlationUid),
    }),
  }
}

const productOf = ({ name, version }: OcsfContext['product']): Members =>
  present({ name: words(name) ?? 'Sluice', vendor_name: 'Sluice', version: words(version) })
const reporterOf = ({ uid, hostname }: OcsfContext['reporter']): Members =>
  present({ uid: words(uid) ?? 'unknown', hostname: words(hostname) })

const MADE = new WeakMap<object, Members>()

/** The same for every event of a journal, and so made once for it. */
function once<T extends object>(from: T, make: (from: T) => Members): Members {
  const known = MADE.get(from)
  if (known) return known
  const made = make(from)
  MADE.set(from, made)
  return made
}

/** Without the members that are undefined. */
export function present(members: Members): Members {
  const out: { [name: string]: Json } = {}
  for (const name of Object.keys(members)) {
    const value = members[name]
    if (value !== undefined) out[name] = value
  }
  return out
}

const MAX_WORDS = 2_048
const PLAIN = /^[ -~]+$/

/**
 * Text for an attribute. Control, format and separator characters and lone surrogates become U+FFFD, so that no value can
 * break a line, hide text on a terminal or make the line anything but UTF-8; longer than 2,048 UTF-16 units is cut and
 * ends in an ellipsis. Empty text is no value: undefined.
 */
export function words(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  if (text.length <= MAX_WORDS && PLAIN.test(text)) return text // nearly always, and without the Unicode tables
  const bounded = text.length > MAX_WORDS ? `${text.slice(0, MAX_WORDS - 1)}\u2026` : text
  return bounded.replace(/\p{C}|\p{Zl}|\p{Zp}/gu, '\ufffd')
}

/** An integer that JSON readers hold exactly, never negative; undefined for anything else. */
export function whole(value: number | undefined): number | undefined {
  if (value === undefined) return undefined
  const cut = Math.trunc(value)
  return Number.isSafeInteger(cut) && cut >= 0 ? cut : undefined
}
