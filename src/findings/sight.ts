// What detectors look at, and what they give. A sight is a fact of the trail, or one of two things that happen too often, or
// too quietly, for the trail: a question for a name, and a lifecycle call. A sign is one sight that counts for a cause, and says
// whether the cause is beyond its limit. Whoever judges by other means (processes) gives signs of the same shape.

import type { Fact, PolicyContext, Technique, WorkspaceContext } from '../audit/fact.js'

/** A question of a workspace, answered or refused; untrusted: the name. */
export interface NameAsked {
  readonly kind: 'name-asked'
  readonly atMs: number
  readonly workspace: WorkspaceContext
  readonly policy?: PolicyContext
  readonly name: string
  readonly rcode: string
}

/** A command about a workspace that came to its end. */
export interface LifecycleCall {
  readonly kind: 'lifecycle-call'
  readonly atMs: number
  /** SPIFFE URI, or `user:NAME`. */
  readonly by: string
  readonly command: string
  /** '' when it was refused before anybody looked. */
  readonly workspace: string
  readonly refused: boolean
}

export type Sight = Fact | NameAsked | LifecycleCall

export type Evidence = Readonly<Record<string, string | number | readonly string[]>>

/** Whom it is about. */
export interface Subject {
  readonly workspace?: WorkspaceContext
  readonly policy?: PolicyContext
  readonly caller?: string
  /** Whom a reaction reaches; `node`: every workspace of the plan. */
  readonly reach: readonly string[] | 'node'
}

/** The limit is passed. */
export interface Beyond {
  /** One sentence with the numbers. */
  readonly say: string
  readonly firstAtMs: number
  /** What counts, since then. */
  readonly count: number
  readonly evidence: Evidence
  readonly technique?: Technique
}

export interface Sign<Kind extends string = string> {
  readonly finding: Kind
  /** Signs with the same cause are one finding. */
  readonly cause: string
  readonly atMs: number
  readonly count: number
  readonly subject: Subject
  readonly beyond?: Beyond
}

/** Remembers what it must, within bounds; the same sights in the same order give the same signs. */
export interface Detector<Kind extends string> {
  see(sight: Sight): readonly Sign<Kind>[]
  /** What the workspace did until now counts for nothing any more; what is usual for it does. Absent: nothing is counted by workspace. */
  forget?(workspace: string): void
}
