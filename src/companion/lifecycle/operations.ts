// The life of a workspace as one table: in which state may what be asked for, which steps it takes, where it leads, and what becomes
// of it when a step fails. Pure data. The order of the steps is the promise: nothing of a machine runs before its slot is attached,
// denied and proved, and a kill fences before it does anything else (design section 7).
//
// An operation either takes back what it did when a step fails (`undo`), or tries every step whatever becomes of the others, and
// owes what failed (no `undo`): what narrows is never given up half way.

export const STATES = ['absent', 'stopped', 'running', 'revoked', 'killed'] as const
/** `revoked` and `killed` end when an operator lifts the quarantine at the agent, and the workspace is started again. */
export type WorkspaceState = (typeof STATES)[number]

/** What changes a workspace; `reclaim` is the companion's own word, for a machine that is gone or has lost its fence. */
export const CHANGES = ['create', 'start', 'stop', 'rebake', 'revoke', 'kill', 'delete', 'reclaim'] as const
export type Change = (typeof CHANGES)[number]

/** Every operation, as people ask for it. Looking changes nothing and is allowed in every state that has something to see. */
export const OPERATIONS = {
  create: { say: 'fix the profile of a workspace, and make its layer over the newest approved image' },
  start: { say: 'attach it, prove its fence, and only then let its machine run' },
  stop: { say: 'shut its machine down and give its slot back; this is no quarantine' },
  rebake: { say: 'give it a fresh layer over the newest approved image; its volumes stay' },
  revoke: { say: 'take its authority away: fence, sessions, then an orderly end of its machine' },
  kill: { say: 'the kill switch: fence, machine, sessions, each timed in a signed receipt' },
  delete: { say: 'remove what is left of a workspace that does not run' },
  list: { say: 'every workspace of this host, and what really runs' },
  console: { say: 'the end of what a machine said on its serial line' },
} as const satisfies Record<Exclude<Change, 'reclaim'> | 'list' | 'console', { readonly say: string }>
export type Operation = keyof typeof OPERATIONS

export const STEPS = {
  layer: 'its layer over the newest approved image',
  renew: 'a fresh layer for its next incarnation',
  sweep: 'the layers of earlier incarnations are gone',
  released: 'no quarantine holds it',
  prepare: 'its machine exists, or its interface alone where it has volumes, and no CPU of it has run',
  attach: 'it has its slot, and the deny fence was read back',
  policy: 'its policy is live, or its baseline is',
  evidence: 'signed evidence of its fence, for a fresh nonce',
  run: 'its CPUs run',
  halt: 'its machine was shut down',
  end: 'no process of its machine is left',
  detach: 'it gave its slot back',
  unplug: 'the interface of its slot is gone',
  fence: 'it is quarantined, read back',
  sessions: 'the access broker has closed its sessions',
  erase: 'its layer is gone',
} as const satisfies Record<string, string>
export type Step = keyof typeof STEPS

export interface Way {
  readonly steps: readonly Step[]
  readonly to: WorkspaceState
  /** Absent: every step is tried, and what failed is owed. */
  readonly undo?: { readonly steps: readonly Step[]; readonly to: WorkspaceState }
}
/** Why an operation is not for a workspace in that state. */
export type Refusal = 'unknown' | 'exists' | 'runs' | 'taken-away'

const BRING_UP = ['released', 'prepare', 'attach', 'policy', 'evidence', 'run'] as const satisfies readonly Step[]
/** The machine first: a slot is not given back under one that runs. */
export const TAKE_DOWN = ['end', 'detach', 'unplug'] as const satisfies readonly Step[]
const SHUT_DOWN = ['halt', 'detach', 'unplug'] as const satisfies readonly Step[]

const nothing = (state: WorkspaceState): Way => ({ steps: [], to: state })
const start = (from: WorkspaceState): Way => ({
  steps: BRING_UP,
  to: 'running',
  undo: { steps: TAKE_DOWN, to: from },
})
const revoke = (to: WorkspaceState): Way => ({ steps: ['fence', 'sessions', ...SHUT_DOWN], to })
const kill = (to: WorkspaceState): Way => ({ steps: ['fence', 'end', 'sessions', 'detach', 'unplug'], to })
const remove = (from: WorkspaceState): Way => ({
  steps: [...TAKE_DOWN, 'erase'],
  to: 'absent',
  undo: { steps: [], to: from },
})
const reclaim = (to: WorkspaceState): Way => ({ steps: TAKE_DOWN, to })

export const LIFECYCLE = {
  absent: {
    create: { steps: ['layer'], to: 'stopped', undo: { steps: ['erase'], to: 'absent' } },
    start: 'unknown',
    stop: 'unknown',
    rebake: 'unknown',
    revoke: 'unknown',
    // Whatever of it may be here: the fence takes any name.
    kill: kill('absent'),
    delete: 'unknown',
    reclaim: reclaim('absent'),
  },
  stopped: {
    create: 'exists',
    start: start('stopped'),
    stop: nothing('stopped'),
    rebake: { steps: ['renew', 'sweep'], to: 'stopped', undo: { steps: ['sweep'], to: 'stopped' } },
    revoke: revoke('revoked'),
    kill: kill('killed'),
    delete: remove('stopped'),
    reclaim: reclaim('stopped'),
  },
  running: {
    create: 'exists',
    start: nothing('running'),
    stop: { steps: SHUT_DOWN, to: 'stopped' },
    rebake: {
      steps: [...SHUT_DOWN, 'renew', 'sweep', ...BRING_UP],
      to: 'running',
      undo: { steps: [...TAKE_DOWN, 'sweep'], to: 'stopped' },
    },
    revoke: revoke('revoked'),
    kill: kill('killed'),
    delete: 'runs',
    reclaim: reclaim('stopped'),
  },
  revoked: {
    create: 'exists',
    start: start('revoked'),
    stop: nothing('revoked'),
    rebake: 'taken-away',
    revoke: revoke('revoked'),
    kill: kill('killed'),
    delete: remove('revoked'),
    reclaim: reclaim('revoked'),
  },
  killed: {
    create: 'exists',
    start: start('killed'),
    stop: nothing('killed'),
    rebake: 'taken-away',
    // What is weaker takes nothing back.
    revoke: revoke('killed'),
    kill: kill('killed'),
    delete: remove('killed'),
    reclaim: reclaim('killed'),
  },
} as const satisfies Record<WorkspaceState, Record<Change, Way | Refusal>>

export const wayOf = (state: WorkspaceState, change: Change): Way | Refusal => LIFECYCLE[state][change]

/** What narrows does not wait for an operation that is under way: it ends it. */
export const preempts = (change: Change): boolean => change === 'kill' || change === 'revoke'
