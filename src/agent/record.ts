// What the agent remembers between runs, as a value, and its one byte form: canonical JSON with its own digest beside it.
//
// `state.json` holds the mark, what is live and what is about to be; `quarantines.json` holds quarantines, apart, so that
// setting one never waits for an apply, and what of them the trail may not have. Plans lie beside them, named by digest. Anything that is not exactly what this
// file writes is refused: a half-understood state is worse than none. The digest finds damage and edits by hand; it is
// no proof against somebody with root, and says so in the README.

import { decodeUtf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, digestOfText, isDigest } from '../base/digest.js'
import { isObject, JsonError, parseJson } from '../base/json.js'
import type { BackendName, PlanSource } from '../plan/model.js'

export const STATE_FORMAT = 'sluice-state/1'
export const QUARANTINES_FORMAT = 'sluice-quarantines/1'

/** A high-water mark (bundle-trust sheet section 1): bound to the content, so that re-signing does not matter. */
export interface Mark {
  readonly epoch: number
  /** Decimal text of a u64. */
  readonly revision: string
  readonly digest: Digest
}

/** A plan that was, is or is about to be live; the plan itself is the file named by its digest. */
export interface Activation {
  readonly generation: number
  readonly planDigest: Digest
  readonly backends: readonly BackendName[]
  readonly source: PlanSource
  /** Milliseconds since 1970. */
  readonly decidedAtMs: number
}

export interface RefusedBundle {
  /** Of everything that was judged: artefact, trust root, inventory. */
  readonly digest: Digest
  readonly code: string
  readonly atMs: number
}

export interface AgentState {
  /** The highest generation ever given out; a failed one is not used again. */
  readonly lastGeneration: number
  /** Of bundles, by the digest of the signed payload. */
  readonly mark: Mark | null
  /** Of inventories, by the digest of the document. */
  readonly inventoryMark: Mark | null
  readonly live: Activation | null
  /** Written together with the mark, before the switch; what a restart finds here is either live or was not reached. */
  readonly next: Activation | null
  /** Newest last, at most REFUSED_KEPT. */
  readonly refused: readonly RefusedBundle[]
}

export interface Quarantine {
  readonly workspace: string
  readonly reason: string
  readonly by: string
  readonly commandId: string
  readonly atMs: number
  /** While the trail may not have it (untold.ts): how long the fence took. */
  readonly untoldMs?: number
}

/** A quarantine that is none any more, while the trail may not have that. */
export interface Lift {
  /** A flag that only the kernel knew has the words of its lift. */
  readonly of: Quarantine
  readonly reason: string
  readonly by: string
  readonly commandId: string
  readonly atMs: number
  /** It let nobody out, and is here for the sake of `of` only, which the trail may not have. */
  readonly isVain?: true
}

export interface Quarantines {
  readonly list: readonly Quarantine[]
  /** In the order in which they were lifted. */
  readonly lifts: readonly Lift[]
}

export const REFUSED_KEPT = 256

export const EMPTY_AGENT_STATE: AgentState = {
  lastGeneration: 0,
  mark: null,
  inventoryMark: null,
  live: null,
  next: null,
  refused: [],
}

/** Why bytes are not a record: `format` when they are one of another release. */
export class RecordProblem extends Error {
  override readonly name = 'RecordProblem'
  constructor(
    readonly kind: 'damaged' | 'format',
    message: string,
  ) {
    super(message)
  }
}

export const encodeState = (state: AgentState): string => seal(STATE_FORMAT, state as unknown as Json)
/** A lift stands behind the quarantines as one with a mark: a release without marks takes it for a quarantine, which only narrows. */
export const encodeQuarantines = ({ list, lifts }: Quarantines): string => {
  const lifted = lifts.map(({ of, ...lift }) => ({ ...of, lifted: lift }))
  return seal(QUARANTINES_FORMAT, [...list, ...lifted] as unknown as Json)
}

export const seal = (format: string, body: Json): string =>
  `${canonicalize({ body, digest: digestOfText(canonicalize(body)), format })}\n`

/** Throws RecordProblem for anything that `encodeState` did not write. */
export function decodeState(bytes: Uint8Array): AgentState {
  const body = new Fields(unseal(bytes, STATE_FORMAT), 'state')
  return {
    lastGeneration: body.count('lastGeneration'),
    mark: body.orNull('mark', mark),
    inventoryMark: body.orNull('inventoryMark', mark),
    live: body.orNull('live', activation),
    next: body.orNull('next', activation),
    refused: body.list('refused', (entry) => ({
      digest: entry.digest('digest'),
      code: entry.text('code'),
      atMs: entry.count('atMs'),
    })),
  }
}

/** Throws RecordProblem for anything that `encodeQuarantines` did not write. */
export function decodeQuarantines(bytes: Uint8Array): Quarantines {
  const body = unseal(bytes, QUARANTINES_FORMAT)
  if (!Array.isArray(body)) throw new RecordProblem('damaged', 'the body is not a list')
  const list: Quarantine[] = []
  const lifts: Lift[] = []
  for (const item of body as readonly Json[]) {
    const entry = new Fields(item, 'quarantine')
    const of = {
      workspace: entry.text('workspace'),
      ...ordered(entry),
      ...(entry.has('untoldMs') ? { untoldMs: entry.count('untoldMs') } : {}),
    }
    if (entry.has('lifted')) lifts.push({ of, ...entry.nested('lifted', lifted) })
    else list.push(of)
  }
  return { list, lifts }
}

const ordered = (at: Fields) => ({
  reason: at.text('reason'),
  by: at.text('by'),
  commandId: at.text('commandId'),
  atMs: at.count('atMs'),
})
const lifted = (at: Fields) => ({ ...ordered(at), ...(at.has('isVain') ? { isVain: true as const } : {}) })

/** The body of a sealed record. Throws RecordProblem. */
export function unseal(bytes: Uint8Array, format: string): Json {
  const text = decodeUtf8(bytes)
  if (text === undefined) throw new RecordProblem('damaged', 'it is not UTF-8')
  let outer: Json
  try {
    outer = parseJson(text)
  } catch (error) {
    if (error instanceof JsonError) throw new RecordProblem('damaged', error.message)
    throw error
  }
  if (!isObject(outer)) throw new RecordProblem('damaged', 'it is not an object')
  if (typeof outer.format !== 'string') throw new RecordProblem('damaged', 'it names no format')
  if (outer.format !== format) throw new RecordProblem('format', outer.format)
  if (outer.body === undefined || outer.digest !== digestOfText(canonicalize(outer.body)))
    throw new RecordProblem('damaged', 'its digest does not match its content')
  return outer.body
}

const mark = (at: Fields): Mark => ({
  epoch: at.count('epoch'),
  revision: at.digits('revision'),
  digest: at.digest('digest'),
})

const activation = (at: Fields): Activation => ({
  generation: at.count('generation'),
  planDigest: at.digest('planDigest'),
  backends: at.texts('backends') as readonly BackendName[],
  source: at.nested('source', (source) => ({
    bundleId: source.text('bundleId'),
    bundleDigest: source.digest('bundleDigest'),
    policyRevision: source.digits('policyRevision'),
    epoch: source.count('epoch'),
    channel: source.text('channel'),
    audience: source.text('audience'),
    inventoryRevision: source.digits('inventoryRevision'),
    notBeforeMs: source.count('notBeforeMs'),
    expiresAtMs: source.count('expiresAtMs'),
  })),
  decidedAtMs: at.count('decidedAtMs'),
})

/** Reads members by name; a member of another shape is damage, whatever the digest says. */
export class Fields {
  private readonly members: { readonly [key: string]: Json | undefined }

  constructor(
    value: Json | undefined,
    private readonly path: string,
  ) {
    if (!isObject(value)) throw new RecordProblem('damaged', `${path} is not an object`)
    this.members = value
  }

  private wrong(name: string, wanted: string): never {
    throw new RecordProblem('damaged', `${this.path}.${name} is not ${wanted}`)
  }

  has(name: string): boolean {
    return this.members[name] !== undefined
  }

  text(name: string): string {
    const value = this.members[name]
    return typeof value === 'string' ? value : this.wrong(name, 'a string')
  }

  count(name: string): number {
    const value = this.members[name]
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : this.wrong(name, 'a count')
  }

  digits(name: string): string {
    const value = this.text(name)
    return /^(?:0|[1-9]\d{0,19})$/.test(value) ? value : this.wrong(name, 'a decimal number')
  }

  digest(name: string): Digest {
    const value = this.text(name)
    return isDigest(value) ? value : this.wrong(name, 'a SHA-256 digest')
  }

  texts(name: string): readonly string[] {
    const value = this.members[name]
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) this.wrong(name, 'a list of strings')
    return value
  }

  nested<T>(name: string, read: (fields: Fields) => T): T {
    return read(new Fields(this.members[name], `${this.path}.${name}`))
  }

  orNull<T>(name: string, read: (fields: Fields) => T): T | null {
    return this.members[name] === null ? null : this.nested(name, read)
  }

  list<T>(name: string, read: (fields: Fields) => T): readonly T[] {
    const value = this.members[name]
    if (!Array.isArray(value)) this.wrong(name, 'a list')
    return (value as readonly Json[]).map((item, i) => read(new Fields(item, `${this.path}.${name}[${i}]`)))
  }
}
