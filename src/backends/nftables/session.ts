// What the parts of the driver share: the libnftables contexts (one for changes, one for flags, one for reading), the record of
// what is live, what is staged, learned grants and flags. One writer lane orders everything that changes the ruleset,
// except flags, which have their own.

import type { LearnedGrant, SessionPeer } from '../../plan/model.js'
import { DROP_REASONS } from '../../plan/state.js'
import type { Cut, Flag, OpenOptions } from '../backend.js'
import { Aside } from './aside.js'
import { DenyFloor } from './denyfloor.js'
import { Lane } from './lane.js'
import { NftContext, NftError } from './libnftables.js'
import { Line } from './line.js'
import { commentOf } from './lower.js'
import type { NftProgram } from './program.js'
import { Reckoning } from './reckoning.js'
import { type LiveRecord, readState, type StateFile, type WorkspaceRecord, writeState } from './record.js'
import { patternOf } from './scaffold.js'

export interface StagedProgram {
  readonly program: NftProgram
  /** Part of the names of its objects: tells a repair of a generation from the load before it. */
  readonly tag: string
}

export type Place = Pick<WorkspaceRecord, 'workspace' | 'interface' | 'addresses'>

export class Session {
  readonly writer = new NftContext()
  readonly flagger = new NftContext()
  readonly reader = new NftContext()
  /** Stage, commit, discard, learn and repair, one after another. */
  readonly lane = new Lane()
  /** Changes of flags, in the order in which they were given: what a repair or a commit does to them takes a thread of the pool. */
  readonly flagLane = new Lane()
  /** Flags themselves are changed by this, and flags, learned grants and sessions asked for. */
  readonly line = new Line()
  /** Learned grants and sessions are changed by this. */
  readonly aside = new Aside()
  readonly floor: DenyFloor
  readonly staged = new Map<number, StagedProgram>()
  /** By element key of the learned maps: the grants behind the one element. */
  readonly learned = new Map<string, LearnedGrant[]>()
  /** By `INTERFACE . PEER`: what this process opened or found, with exact ends. The kernel's sets are the authority. */
  readonly open = new Map<string, SessionPeer>()
  /** Size of that at which expired ones are looked for. */
  learnedLimit = 1024
  /** What was asked for, by workspace; the kernel's sets are by interface. */
  readonly flags: Readonly<Record<Flag, Set<string>>> = { quarantined: new Set(), suspended: new Set() }
  /** Which order about a flag of a workspace is the last one. */
  readonly ordered = new Map<string, number>()
  orders = 0
  /** What the kernel says is attached, read when the session opened: it may be ahead of the record after a crash. */
  found: readonly Place[] = []
  /** Flows being destroyed behind a flag that is already read back. */
  cutting: Promise<unknown> = Promise.resolve()
  /** What the last quarantine flag of each workspace cut. */
  readonly cuts = new Map<string, Promise<Cut>>()
  /** Whether this kernel gives an element a new timeout in place (refresh.ts); undefined until somebody needs to know. */
  refreshes: Promise<boolean> | undefined
  /** This process keeps the fence, and does not only look at it: what comes may be attached. */
  tending = false
  /** What the kernel refused and nobody was told of. */
  readonly reckoning = new Reckoning(DROP_REASONS)
  /**
   * How many elements an exact set had when it was loaded or last read. The kernel walks a set from its beginning for each 32 KiB of
   * a listing (nft_set_dump_ctx, nf_tables_dump_set), so that a million take half a minute, and one too long for its room is made again.
   */
  readonly sizes = new Map<string, number>()
  /** Loads of one process, for tags. */
  loads = 0

  private constructor(
    readonly options: OpenOptions,
    private state: StateFile,
    private damage: string | undefined,
  ) {
    for (const pattern of options.attachInterfaces) patternOf(pattern)
    this.floor = new DenyFloor(options.attachInterfaces)
  }

  static async open(options: OpenOptions): Promise<Session> {
    const { state, damage } = await readState(options.stateDirectory)
    return new Session(options, state, damage)
  }

  get live(): LiveRecord | null {
    return this.state.live
  }

  /** Why the record could not be read; undefined when it could, or was written since. */
  get damaged(): string | undefined {
    return this.damage
  }

  get looseBefore(): string | null {
    return this.state.looseBefore
  }

  /** What is live from now on, before it is written down. */
  assume(live: LiveRecord): void {
    this.state = { ...this.state, live }
    this.found = []
  }

  async remember(change: Partial<Omit<StateFile, 'format'>>): Promise<void> {
    this.state = { ...this.state, ...change }
    await writeState(this.options.stateDirectory, this.state)
    this.damage = undefined
  }

  forget(): void {
    this.state = { format: 1, live: null, looseBefore: null }
    this.found = []
  }

  /**
   * Where a workspace is by the record and by the kernel, and where it will be once what is staged is committed: a flag set on the way must already be there
   * when the switch comes. None when nothing knows it yet.
   */
  places(id: string): readonly Place[] {
    const known: Place[] = [
      ...(this.live?.workspaces ?? []),
      ...this.found,
      ...[...this.staged.values()].flatMap(({ program }) => program.workspaces),
    ]
    // The kernel's own word for a workspace is a comment, which may have been cut.
    const found = known.filter(({ workspace }) => workspace === id || workspace === commentOf(id))
    const spelt = ({ interface: name, addresses }: Place): string => [name, ...addresses].join(' ')
    return found.filter((place, i) => found.findIndex((one) => spelt(one) === spelt(place)) === i)
  }

  async close(): Promise<void> {
    await this.lane.idle()
    await this.flagLane.idle()
    await this.cutting
    await this.aside.close()
    await Promise.all([this.writer.close(), this.flagger.close(), this.reader.close()])
    this.floor.close()
    this.line.close()
  }
}

/** What nft said, for the sentence of a fault. */
export const reasonOf = (error: unknown): string =>
  error instanceof NftError
    ? error.message.replace(/^Error: /, '')
    : error instanceof Error
      ? error.message
      : String(error)
