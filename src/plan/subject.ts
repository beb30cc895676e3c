// Subjects of security events (RFC 9493, OpenID SSF 1.0 section 3): a simple one names somebody or something in one format, `aliases`
// names the same one in several, a complex one has members such as user and device. Takes strict JSON; gives identities, which are
// texts that are equal exactly when the subjects are identical, or a sentence about what is wrong.
//
// The signed inventory binds the same identities to workspaces, so that no transmitter decides what belongs to whom.

import { canonicalize, type Json } from '../base/canonical.js'
import { isObject } from '../base/json.js'

/** Members of a complex subject that an inventory may bind (SSF 1.0 section 3.2). */
export const SUBJECT_MEMBERS = ['user', 'device', 'session', 'application', 'tenant', 'org_unit', 'group'] as const
export type SubjectMember = (typeof SUBJECT_MEMBERS)[number]
export const isSubjectMember = (text: string): text is SubjectMember =>
  (SUBJECT_MEMBERS as readonly string[]).includes(text)

/** Canonical JSON of a simple subject. */
export type Identity = string
export type Subjects = Readonly<Partial<Record<SubjectMember, readonly Identity[]>>>

export type Subject =
  /** Several identities are aliases of one. */
  | { readonly kind: 'simple'; readonly identities: readonly Identity[] }
  /** Members in the sender's words; those that are not ours bind nothing. */
  | { readonly kind: 'complex'; readonly members: ReadonlyMap<string, readonly Identity[]> }

/** Members of each simple format (RFC 9493 section 3.2; SSF 1.0 section 3.3 and 3.4). All are text and all are required. */
export const SUBJECT_FORMATS: ReadonlyMap<string, readonly string[]> = new Map([
  ['account', ['uri']],
  ['did', ['url']],
  ['email', ['email']],
  ['iss_sub', ['iss', 'sub']],
  ['jwt_id', ['iss', 'jti']],
  ['opaque', ['id']],
  ['phone_number', ['phone_number']],
  ['saml_assertion_id', ['issuer', 'assertion_id']],
  ['uri', ['uri']],
])
const MAX_TEXT = 1_024
const MAX_ALIASES = 32
const MAX_MEMBERS = 32

// untrusted: `value`
/** A subject, or what is wrong with it. A format that is not known is identical to itself only, and so matches nothing here. */
export function readSubject(value: Json | undefined): Subject | string {
  if (!isObject(value) || typeof value.format !== 'string') return 'a subject is an object with a format'
  if (value.format !== 'complex') {
    const identities = readIdentities(value)
    return typeof identities === 'string' ? identities : { kind: 'simple', identities }
  }
  const members = new Map<string, readonly Identity[]>()
  const named = Object.entries(value).filter(([name]) => name !== 'format')
  if (named.length === 0 || named.length > MAX_MEMBERS) return `a complex subject has 1 to ${MAX_MEMBERS} members`
  for (const [name, member] of named) {
    const identities = readIdentities(member)
    if (typeof identities === 'string') return `its member ${JSON.stringify(name.slice(0, 40))}: ${identities}`
    members.set(name, identities)
  }
  return { kind: 'complex', members }
}

// untrusted: `value`
/** The identities of a simple subject: one, or those of `aliases` (RFC 9493 section 3.2.8, which do not nest). */
export function readIdentities(value: Json | undefined): readonly Identity[] | string {
  if (!isObject(value) || value.format !== 'aliases') {
    const identity = readIdentity(value)
    return identity.kind === 'wrong' ? identity.why : [identity.text]
  }
  const { identifiers } = value
  if (Object.keys(value).length !== 2 || !Array.isArray(identifiers)) return 'aliases have a list of identifiers'
  if (identifiers.length === 0 || identifiers.length > MAX_ALIASES) return `aliases are 1 to ${MAX_ALIASES}`
  const out: Identity[] = []
  for (const item of identifiers as readonly Json[]) {
    const identity = readIdentity(item)
    if (identity.kind === 'wrong') return identity.why
    out.push(identity.text)
  }
  return out
}

type Read = { readonly kind: 'identity'; readonly text: Identity } | { readonly kind: 'wrong'; readonly why: string }
const wrong = (why: string): Read => ({ kind: 'wrong', why })

function readIdentity(value: Json | undefined): Read {
  if (!isObject(value) || typeof value.format !== 'string') return wrong('a subject is an object with a format')
  const { format } = value
  if (format === 'aliases' || format === 'complex') return wrong(`${format} does not stand inside a subject`)
  const members = SUBJECT_FORMATS.get(format)
  // Identical or not is all that can be said of a format of somebody else's.
  if (!members) return { kind: 'identity', text: canonicalize(value) }
  // RFC 9493 section 3: no member that its format does not describe.
  const other = Object.keys(value).find((name) => name !== 'format' && !members.includes(name))
  if (other !== undefined) return wrong(`${format} has no member ${JSON.stringify(other.slice(0, 40))}`)
  for (const name of members) {
    const text = value[name]
    if (typeof text !== 'string' || text === '' || text.length > MAX_TEXT)
      return wrong(`${format} needs ${name}, a text of 1 to ${MAX_TEXT} characters`)
  }
  return { kind: 'identity', text: canonicalize(format === 'email' ? { ...value, email: folded(value.email) } : value) }
}

/** Mail systems that tell letters apart by case are rarer than directories that write them differently; folding only fences more. */
const folded = (email: Json | undefined): Json =>
  typeof email === 'string' ? email.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : ''

export const identityOf = (format: 'opaque' | 'uri', text: string): Identity =>
  canonicalize(format === 'uri' ? { format, uri: text } : { format, id: text })
