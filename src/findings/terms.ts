// What makes a finding, as numbers that an operator may change (`findings:` in agent.yaml), and what is done about each. The
// defaults are reasoned in README.md of this folder; `test/unit/findings` holds that an hour of ordinary work meets none of them.

/** Each detector, by the word that events, metrics and filters use. */
export const FINDING_KINDS = [
  'denial-burst',
  'new-destination',
  'dns-entropy',
  'lifecycle-rate',
  'rollback-attempt',
] as const
export type FindingKind = (typeof FINDING_KINDS)[number]

/** `off`: not looked for. `observe`: told. `quarantine`: fenced and told. `kill`: fenced, ended where this node can, and told. */
export const REACTIONS = ['off', 'observe', 'quarantine', 'kill'] as const
export type Reaction = (typeof REACTIONS)[number]

interface Reacting {
  readonly reaction: Reaction
}

export interface FindingTerms {
  /** A cause that was told is not told again before this is over; what it did meanwhile is counted. */
  readonly cooldownMs: number
  readonly denialBurst: Reacting & {
    readonly windowMs: number
    /** Refused packets and file operations of one workspace in a window. */
    readonly packets: number
    /** Different refused destinations (address, protocol, port) in a window. */
    readonly destinations: number
    /** Times a workspace's own usual number, where that is more than `packets`. */
    readonly factor: number
  }
  readonly newDestination: Reacting & {
    /** How long a workspace that is observed is only learnt from. */
    readonly learnMs: number
  }
  readonly dnsEntropy: Reacting & {
    readonly windowMs: number
    /** Different names under one parent in a window. */
    readonly names: number
    /** What their labels look as if they carried: bits of entropy, all of them together. */
    readonly bits: number
    /** Different names that do not exist, when at least half of the questions end so. */
    readonly missing: number
  }
  readonly lifecycleRate: Reacting & {
    readonly windowMs: number
    /** Calls of one caller in a window. */
    readonly calls: number
    /** Of these, about one workspace. */
    readonly perWorkspace: number
    /** Of these, refused. */
    readonly refused: number
  }
  readonly rollbackAttempt: Reacting
}

export const FINDING_TERMS: FindingTerms = {
  cooldownMs: 900_000,
  denialBurst: { reaction: 'observe', windowMs: 60_000, packets: 200, destinations: 30, factor: 4 },
  newDestination: { reaction: 'observe', learnMs: 86_400_000 },
  dnsEntropy: { reaction: 'observe', windowMs: 600_000, names: 25, bits: 8_192, missing: 50 },
  lifecycleRate: { reaction: 'observe', windowMs: 60_000, calls: 120, perWorkspace: 12, refused: 20 },
  rollbackAttempt: { reaction: 'observe' },
}

/** What an operator chose for each kind. */
export const reactionsOf = (terms: FindingTerms): Readonly<Record<FindingKind, Reaction>> => ({
  'denial-burst': terms.denialBurst.reaction,
  'new-destination': terms.newDestination.reaction,
  'dns-entropy': terms.dnsEntropy.reaction,
  'lifecycle-rate': terms.lifecycleRate.reaction,
  'rollback-attempt': terms.rollbackAttempt.reaction,
})
