// The words of the mediator: what a workspace may ask, what an upstream answers, and the one interface through which answers
// come in. Names are lower case and without the trailing dot; addresses are canonical text; everything from the wire is
// untrusted until the story (mediate.ts) has judged it.

/** The only types that are ever forwarded (requirement 11 of the egress sheet). */
export type QuestionType = 'A' | 'AAAA'

export interface Question {
  readonly name: string
  readonly type: QuestionType
}

export type AnswerRecord =
  | { readonly owner: string; readonly type: QuestionType; readonly ttlSeconds: number; readonly address: string }
  | { readonly owner: string; readonly type: 'CNAME'; readonly ttlSeconds: number; readonly target: string }

/** One whole answer section, in the upstream's order. untrusted: every name and address in it. */
export interface Answer {
  readonly outcome: 'answer' | 'no-such-name' | 'failed' | 'refused'
  readonly records: readonly AnswerRecord[]
  /** How long an answer without addresses may be kept (RFC 2308 section 5); 0 when it does not say. */
  readonly negativeTtlSeconds: number
  /** The upstream says that it validated, and the way to it is authenticated. */
  readonly validated: boolean
  /** Which upstream, for people: `dot://192.0.2.1`. */
  readonly from: string
}

export interface Upstream {
  /** Throws DNS_UPSTREAM when none answers within its limits, and what aborted `signal`. */
  ask(question: Question, signal: AbortSignal): Promise<Answer>
  close(): Promise<void>
}
