// What the agent answers to a question about an action, and the statement that it signs about the answer: who may do what, under
// which bundle and generation, for whom, for how long. It is short-lived, names the question by digest and its audience, and is
// verified offline with the agent's key: one octet, another audience or a later time, and it says nothing.

import { signCompact } from '../audit/seal.js'
import { utf8 } from '../base/bytes.js'
import { canonicalize, type Json } from '../base/canonical.js'
import { type Digest, digestOfText } from '../base/digest.js'
import type { JwsKey } from '../bundle/jwk.js'
import type { Signer } from '../bundle/sign.js'
import { decide } from '../decide/decide.js'
import type { Asking, Decision, Obligation } from '../decide/model.js'
import type { Program } from '../decide/program.js'
import type { Question } from '../decide/read-question.js'
import type { WorkspaceId } from '../plan/model.js'
import { agentFault } from './errors.js'
import { openSigned } from './signed.js'
import { count, either, exactly, type Is, list, object, readShaped, text } from './signed-shape.js'

export const DECISION_FORMAT = 'sluice-decision/1'
export const DECISION_TYPE = 'application/vnd.sluice.decision+json'
/** How long a statement holds: a call, not a session. */
export const DECISION_MS = 60_000
/** Between the clocks of two machines. */
const SKEW_MS = 5_000

/** Times are milliseconds since 1970, by the clock of the node. */
export interface DecisionStatement {
  readonly format: typeof DECISION_FORMAT
  readonly node: string
  readonly audience: string
  readonly workspace: WorkspaceId
  readonly decision: Decision['decision']
  readonly reason: string
  /** The logical agent that the question names, and the task that it was delegated; '' where nobody is named. */
  readonly agent: string
  readonly task: string
  /** '' where no clause decided. */
  readonly clause: string
  readonly obligations: readonly Obligation[]
  /** Of the question's canonical form: action, program and ancestors. */
  readonly question: Digest
  readonly bundleDigest: Digest
  readonly planDigest: Digest
  readonly generation: number
  readonly issuedAtMs: number
  /** Never after the end of the authority or of the bundle that it rests on. */
  readonly expiresAtMs: number
  /** Hexadecimal; chosen by whoever asked. */
  readonly nonce: string
}

export interface Terms {
  readonly node: string
  readonly audience: string
  readonly nonce: string
  readonly nowMs: number
}

/** The digest of a question, whatever its spelling and its trace id. */
export const questionDigest = ({ traceId: _trace, ...question }: Question): Digest =>
  digestOfText(canonicalize(question as unknown as Json))

export function answerQuestion(
  program: Program,
  standing: Pick<Asking, 'workspace' | 'quarantined' | 'suspended' | 'authority'>,
  question: Question,
  { node, audience, nonce, nowMs }: Terms,
): { readonly decision: Decision; readonly statement: DecisionStatement } {
  const { executable, ancestors } = question
  const asking = {
    ...standing,
    ...(executable === undefined ? {} : { executable }),
    ...(ancestors === undefined ? {} : { ancestors }),
  }
  const decision = decide(program, asking, question.action, nowMs)
  const { generation, planDigest, bundleDigest } = program
  const authority = typeof standing.authority === 'object' ? standing.authority : undefined
  // An end that is over did not end it: a bundle that is held on purpose.
  const ends = [program.expiresAtMs, authority?.expiresAtMs ?? nowMs].filter((ms) => ms > nowMs)
  const statement: DecisionStatement = {
    format: DECISION_FORMAT,
    node,
    audience,
    workspace: standing.workspace,
    decision: decision.decision,
    reason: decision.reason,
    agent: question.agentId ?? '',
    task: authority?.taskId ?? '',
    clause: decision.clause ?? '',
    obligations: decision.obligations,
    question: questionDigest(question),
    bundleDigest,
    planDigest,
    generation,
    issuedAtMs: nowMs,
    expiresAtMs: Math.min(nowMs + DECISION_MS, ...ends),
    nonce,
  }
  return { decision, statement }
}

/** A compact JWS. */
export const signDecision = (statement: DecisionStatement, signer: Signer): Promise<string> =>
  signCompact(DECISION_TYPE, utf8(canonicalize(statement as unknown as Json)), signer)

export interface Expected {
  readonly audience: string
  readonly nowMs: number
  /** What was asked; without it the verifier compares the digest itself. */
  readonly question?: Digest
  readonly nonce?: string
}

// untrusted: `token`, until a key of `keys` is found to have signed it
/** Throws AGENT_DECISION, AGENT_SIGNED_TYPE, BUNDLE_JWS. */
export async function verifyDecision(
  token: string,
  keys: readonly JwsKey[],
  { audience, nowMs, question, nonce }: Expected,
): Promise<DecisionStatement> {
  const no = (why: string, cause?: unknown) => agentFault('AGENT_DECISION', { why }, { cause })
  const payload = await openSigned(token, DECISION_TYPE, keys)
  const statement = readShaped<DecisionStatement>(payload, DECISION_FORMAT, SHAPE, no)
  if (statement.audience !== audience) throw no(`it is for ${statement.audience}, not for ${audience}`)
  if (nowMs < statement.issuedAtMs - SKEW_MS) throw no('it was made in the future')
  if (nowMs >= statement.expiresAtMs) throw no('it has expired')
  if (question !== undefined && statement.question !== question) throw no('it answers another question')
  if (nonce !== undefined && statement.nonce !== nonce) throw no('its nonce is not the one that was sent')
  return statement
}

const OBLIGATION: Is = either(
  object({ kind: exactly('address-within'), prefixes: list(text) }),
  object({ kind: exactly('inspect'), protocol: text }),
  object({ kind: exactly('review'), of: text }),
  object({ kind: exactly('log'), reason: text }),
)

const SHAPE = {
  format: text,
  node: text,
  audience: text,
  workspace: text,
  decision: either(exactly('allow'), exactly('deny')),
  reason: text,
  agent: text,
  task: text,
  clause: text,
  obligations: list(OBLIGATION),
  question: text,
  bundleDigest: text,
  planDigest: text,
  generation: count,
  issuedAtMs: count,
  expiresAtMs: count,
  nonce: text,
} as const satisfies Record<keyof DecisionStatement, Is>
