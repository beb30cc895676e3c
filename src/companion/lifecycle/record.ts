// What the companion remembers of one workspace, and its one byte form: canonical JSON with its digest beside it. Everything about a
// workspace is one file, replaced as a whole, so that its state, the operation that is under way and the answers that were given
// never disagree. A record that is not exactly what was written is refused: a half-understood one is worse than none. Pure.

import { decodeUtf8 } from '../../base/bytes.js'
import { canonicalize, type Json } from '../../base/canonical.js'
import { type Digest, digestOfText } from '../../base/digest.js'
import type { Reaction } from '../../base/fault.js'
import { isObject, JsonError, parseJson } from '../../base/json.js'
import { CHANGES, type Change, STATES, STEPS, type Step, type WorkspaceState } from './operations.js'
import { type Profile, readProfile } from './profile.js'

export const RECORD_FORMAT = 'sluice-workspace/1'
/** Answers that are kept for whoever asks again with the same request id, newest last. */
export const ANSWERS_KEPT = 16

/** Times are milliseconds since 1970; what took how long is measured by the monotonic clock. */
export interface StepDone {
  readonly step: Step
  readonly atMs: number
  readonly elapsedMs: number
  readonly outcome: 'done' | 'failed' | 'late'
  readonly why?: string
  /** The signed receipt of the agent, of a fence. */
  readonly receipt?: string
  /** What became of it, where there is something to say: an image, an attachment, a digest of evidence. */
  readonly what?: string
}

/** Why an operation did not happen, as it was thrown. */
export interface Failure {
  readonly code: string
  readonly reaction: Reaction
  readonly message: string
  readonly remedy: string
  readonly causes: readonly string[]
}

export interface Request {
  readonly requestId: string
  /** Of operation, workspace and parameters: one id never stands for two requests. */
  readonly digest: Digest
  readonly change: Change
  readonly by: string
  readonly reason: string
}

/** A step that failed, and is tried again until it is done in the name of the request that it belongs to. */
export interface Debt {
  readonly step: Step
  /** When it failed first under that request. */
  readonly sinceMs: number
  readonly request: Request
}

export interface Answer extends Omit<Request, 'by' | 'reason'> {
  readonly state: WorkspaceState
  readonly steps: readonly StepDone[]
  /** Steps that failed and are tried again until they are done. */
  readonly owed: readonly Step[]
  readonly elapsedMs: number
  readonly failure?: Failure
  /** Why the disk did not take what was done; absent: it did. What was done holds all the same. */
  readonly unrecorded?: string
}

/** An operation that has begun. What is found here after a crash is undone and begun again. */
export interface Doing extends Request {
  readonly from: WorkspaceState
  readonly atMs: number
  /** The step that has begun, or is about to. */
  readonly step: Step | null
  /** Set: it failed, and is taken back. */
  readonly failure?: Failure
}

export interface WorkspaceRecord {
  readonly workspace: string
  /** Absent once it was deleted, and for one that was killed without being known. */
  readonly profile: Profile | null
  readonly state: WorkspaceState
  /** Names its machine and its layer; a bake has another. */
  readonly incarnation: number
  /** What boots: `name@version` and its digest; empty before the first bake. */
  readonly image: string
  /** The last lease that was asked for: a later one is higher. */
  readonly lease: number
  /** At most one a step: of whoever asked last. */
  readonly owed: readonly Debt[]
  readonly doing: Doing | null
  readonly answers: readonly Answer[]
}

export const emptyRecord = (workspace: string): WorkspaceRecord => ({
  workspace,
  profile: null,
  state: 'absent',
  incarnation: 0,
  image: '',
  lease: 0,
  owed: [],
  doing: null,
  answers: [],
})

export const withAnswer = (record: WorkspaceRecord, answer: Answer): WorkspaceRecord => ({
  ...record,
  doing: null,
  answers: [...record.answers.filter(({ requestId }) => requestId !== answer.requestId), answer].slice(-ANSWERS_KEPT),
})

export const owedSteps = ({ owed }: WorkspaceRecord): readonly Step[] => owed.map(({ step }) => step)

export function encodeRecord(record: WorkspaceRecord): string {
  const body = canonicalize(record as unknown as Json)
  return `{"body":${body},"digest":"${digestOfText(body)}","format":"${RECORD_FORMAT}"}\n`
}

/** Gives what is wrong as text. */
export function decodeRecord(bytes: Uint8Array): WorkspaceRecord | string {
  try {
    const text = decodeUtf8(bytes)
    const value = text === undefined ? undefined : parseJson(text.trimEnd())
    if (!isObject(value)) return 'it is no JSON object'
    if (value.format !== RECORD_FORMAT) return `its format is not ${RECORD_FORMAT}`
    const { body } = value
    if (!isObject(body) || digestOfText(canonicalize(body)) !== value.digest)
      return 'its digest is not that of its body'
    const record = body as unknown as WorkspaceRecord
    if (record.profile !== null) readProfile(record.profile)
    const known =
      STATES.includes(record.state) &&
      record.owed.every(({ step, request }) => Object.hasOwn(STEPS, step) && CHANGES.includes(request.change)) &&
      (record.doing === null || CHANGES.includes(record.doing.change))
    return known ? record : 'it has a word that this release does not know'
  } catch (error) {
    if (error instanceof JsonError || error instanceof Error) return error.message
    throw error
  }
}
