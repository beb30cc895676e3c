// What findings are to the command line: what makes one and what is done about it, as agent.yaml says, and causes that are not
// over. Values of the host interface (host.ts), in a file of their own.

export type ConfiguredReaction = 'off' | 'observe' | 'quarantine' | 'kill'

export interface ConfiguredFindings {
  readonly cooldownMs: number
  readonly denialBurst: {
    readonly reaction: ConfiguredReaction
    readonly windowMs: number
    readonly packets: number
    readonly destinations: number
    readonly factor: number
  }
  readonly newDestination: { readonly reaction: ConfiguredReaction; readonly learnMs: number }
  readonly dnsEntropy: {
    readonly reaction: ConfiguredReaction
    readonly windowMs: number
    readonly names: number
    readonly bits: number
    readonly missing: number
  }
  readonly lifecycleRate: {
    readonly reaction: ConfiguredReaction
    readonly windowMs: number
    readonly calls: number
    readonly perWorkspace: number
    readonly refused: number
  }
  readonly rollbackAttempt: { readonly reaction: ConfiguredReaction }
}

/** A cause that was told and is not over. */
export interface OpenFinding {
  readonly finding: string
  readonly uid: string
  readonly cause: string
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly count: number
  readonly reaction: ConfiguredReaction
}
