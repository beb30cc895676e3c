// What the companion finds about a journal that it pulls from an agent. One kind of fact: the copy and the agent's journal do
// not go together, from one number to another, told once. Values only, like every fact.

export type TrailFault =
  /** Numbers were left out: the agent retired them before they were pulled, or somebody took them away. */
  | 'events-missing'
  /** A line is not the one that its fingerprint was made of. */
  | 'edited'
  /** There is another event under a number than the one that was pulled, or that the next event names. */
  | 'forked'
  /** The journal ends before what was pulled from it. */
  | 'cut'
  /** The agent's journal is another one than before. */
  | 'replaced'
  /** What came is no line of a journal. */
  | 'unreadable'
  /** The companion's own copy was changed; what is doubtful in it is pulled again. */
  | 'copy-damaged'

export interface TrailBroken {
  readonly kind: 'trail-broken'
  readonly atMs: number
  /** SPIFFE URI of the node whose journal it is. */
  readonly node: string
  readonly found: TrailFault
  /** The chain in which the numbers count. */
  readonly chain: string
  readonly fromSequence: number
  readonly toSequence: number
  /** Fingerprints of the event that should have come and of the one that did, where there are such. */
  readonly expected?: string
  readonly came?: string
}
