// The durable store of one agent: mark, live plan, refused digests and quarantines, in the state directory.
//
// Every change is one file replaced as a whole (files.ts), so a crash leaves the old state or the new. Plans are written
// before the state that names them and removed after it. What cannot be read back exactly is a fault, and then nothing
// may be changed: losing the mark silently would let an old bundle in again.

import { join } from 'node:path'
import { utf8 } from '../base/bytes.js'
import { type Digest, digestOf } from '../base/digest.js'
import { decodePlan } from '../plan/codec.js'
import type { Plan } from '../plan/model.js'
import { decodeTenures, encodeTenures, type Tenure } from './attach-record.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'
import {
  type AgentState,
  decodeQuarantines,
  decodeState,
  EMPTY_AGENT_STATE,
  encodeQuarantines,
  encodeState,
  type Lift,
  type Quarantine,
  type Quarantines,
  RecordProblem,
} from './record.js'
import { type BrokerSession, decodeSessions, encodeSessions } from './session-record.js'
import { STORE, saveStoreFormat } from './store-format.js'
import { decodeTrustMemory, EMPTY_TRUST_MEMORY, encodeTrustMemory, type TrustMemory } from './trust-memory.js'

const STATE = 'state.json'
const QUARANTINES = 'quarantines.json'
const TRUST = 'trust.json'
const TENURES = 'tenures.json'
const SESSIONS = 'sessions.json'
const PLANS = 'plans'

/** The live plan and the next one. */
const PLANS_HELD = 2

export class Store {
  /** Plans as they were read, with the stamp of their file: a plan is asked for every second and may be large. */
  private readonly held = new Map<Digest, { readonly stamp: string; readonly plan: Plan }>()
  /** Records as they were read, likewise: a question about an action asks for them every time. */
  private readonly read = new Map<string, { readonly stamp: string; readonly record: unknown }>()

  constructor(
    readonly directory: string,
    private readonly files: StateFiles = NODE_FILES,
  ) {}

  /** Makes the state of a node that never held a bundle, with these quarantines. Throws AGENT_STORE_EXISTS. */
  create({ list, lifts }: Quarantines = { list: [], lifts: [] }): void {
    this.write(this.directory, () => this.files.makeDirectory(this.directory))
    if (this.exists()) throw agentFault('AGENT_STORE_EXISTS', { directory: this.directory })
    // The state comes last: nothing is accepted without it, so what it stands beside is whole.
    this.write(this.path(STORE), () => saveStoreFormat(this.directory, this.files))
    this.saveQuarantines(list, lifts)
    this.saveTrustMemory(EMPTY_TRUST_MEMORY)
    this.save(EMPTY_AGENT_STATE)
  }

  exists(): boolean {
    return this.bytes(STATE) !== undefined
  }

  /** Throws AGENT_STORE_MISSING, AGENT_STORE_DENIED, AGENT_STORE_DAMAGED, AGENT_STORE_FORMAT. */
  load(): AgentState {
    return this.decode(STATE, decodeState)
  }

  save(state: AgentState): void {
    this.replace(STATE, encodeState(state))
  }

  /** Throws as `load`: a lost list of quarantines is as bad as a lost mark. */
  quarantines(): readonly Quarantine[] {
    return this.quarantineRecord().list
  }

  /** With what was lifted and may not be told. Throws as `load`. */
  quarantineRecord(): Quarantines {
    return this.decode(QUARANTINES, decodeQuarantines)
  }

  saveQuarantines(list: readonly Quarantine[], lifts: readonly Lift[] = []): void {
    this.replace(QUARANTINES, encodeQuarantines({ list, lifts }))
    this.hold(QUARANTINES, { list, lifts })
  }

  /** Throws as `load`: without it time could be turned back. */
  trustMemory(): TrustMemory {
    return this.decode(TRUST, decodeTrustMemory)
  }

  saveTrustMemory(memory: TrustMemory): void {
    this.replace(TRUST, encodeTrustMemory(memory))
  }

  /** Empty where nobody ever attached. Throws as `load`. */
  tenures(): readonly Tenure[] {
    return this.bytes(TENURES) === undefined ? [] : this.decode(TENURES, decodeTenures)
  }

  saveTenures(list: readonly Tenure[]): void {
    this.replace(TENURES, encodeTenures(list))
  }

  /** Empty where no broker ever opened one. Throws as `load`. */
  sessions(): readonly BrokerSession[] {
    return this.isHeld(SESSIONS) || this.bytes(SESSIONS) !== undefined ? this.decode(SESSIONS, decodeSessions) : []
  }

  saveSessions(list: readonly BrokerSession[]): void {
    this.replace(SESSIONS, encodeSessions(list))
    this.hold(SESSIONS, list)
  }

  /** It may be megabytes, and whoever fences asks for it before: nobody reads again what was written here. Needs the lock of its list. */
  private hold(name: string, record: unknown): void {
    const stamp = this.files.stamp?.(this.path(name))
    if (stamp !== undefined) this.read.set(name, { stamp, record })
  }

  /** Writes an encoded plan under its digest; free to be removed until a saved state names it. */
  savePlan(encoded: Uint8Array, digest: Digest): void {
    const directory = join(this.directory, PLANS)
    this.write(directory, () => this.files.makeDirectory(directory))
    this.replace(join(PLANS, planFile(digest)), encoded)
  }

  /** The plan of that digest. Throws AGENT_STORE_DAMAGED when it is absent or not the plan of that digest. */
  loadPlan(digest: Digest): Plan {
    const name = join(PLANS, planFile(digest))
    const stamp = this.files.stamp?.(this.path(name))
    const held = this.held.get(digest)
    if (held && held.stamp === stamp) return held.plan
    this.held.delete(digest)
    const bytes = this.bytes(name)
    if (!bytes) throw this.damaged(name, 'the file is missing')
    try {
      // The same plan, written again: nobody is to hold a large one twice.
      const plan = held && digestOf(bytes) === digest ? held.plan : decodePlan(bytes, digest)
      // Written between the two looks: the next question reads it again.
      if (stamp !== undefined) this.held.set(digest, { stamp, plan })
      for (const old of [...this.held.keys()].slice(0, -PLANS_HELD)) this.held.delete(old)
      return plan
    } catch (error) {
      throw this.damaged(name, 'it is not the plan of that digest', error)
    }
  }

  /** Removes the plans that the state names no more. Never throws: the plan is live whether or not an old file is gone. */
  prunePlans(state: AgentState): void {
    const kept = new Set([state.live, state.next].flatMap((at) => (at ? [planFile(at.planDigest)] : [])))
    const directory = join(this.directory, PLANS)
    try {
      for (const name of this.files.list(directory)) if (!kept.has(name)) this.files.remove(join(directory, name))
    } catch {
      // Nothing names what could not be removed; it is tried again after the next activation.
    }
  }

  private path(name: string): string {
    return join(this.directory, name)
  }

  private bytes(name: string): Uint8Array | undefined {
    try {
      return this.files.read(this.path(name))
    } catch (error) {
      const denied = ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')
      if (denied) throw agentFault('AGENT_STORE_DENIED', { file: this.path(name) }, { cause: error })
      throw this.damaged(name, 'it cannot be read', error)
    }
  }

  /** Is it in memory as it is on disk? */
  private isHeld(name: string): boolean {
    const known = this.read.get(name)
    return known !== undefined && known.stamp === this.files.stamp?.(this.path(name))
  }

  private decode<T>(name: string, decode: (bytes: Uint8Array) => T): T {
    // Looked at first: what is replaced meanwhile has another stamp at the next question.
    const stamp = this.files.stamp?.(this.path(name))
    const known = this.read.get(name)
    if (known && stamp !== undefined && known.stamp === stamp) return known.record as T
    const record = this.decodeNow(name, decode)
    if (stamp !== undefined) this.read.set(name, { stamp, record })
    return record
  }

  private decodeNow<T>(name: string, decode: (bytes: Uint8Array) => T): T {
    const bytes = this.bytes(name)
    if (!bytes) {
      // The two files are made together: one of them alone is a loss, not a first start.
      if (this.bytes(STATE) === undefined && this.bytes(QUARANTINES) === undefined)
        throw agentFault('AGENT_STORE_MISSING', { directory: this.directory })
      throw this.damaged(name, 'the file is missing')
    }
    try {
      return decode(bytes)
    } catch (error) {
      if (!(error instanceof RecordProblem)) throw error
      throw error.kind === 'format'
        ? agentFault('AGENT_STORE_FORMAT', { file: this.path(name), format: error.message })
        : this.damaged(name, error.message)
    }
  }

  private damaged(name: string, why: string, cause?: unknown) {
    return agentFault('AGENT_STORE_DAMAGED', { file: this.path(name), why }, cause === undefined ? {} : { cause })
  }

  private replace(name: string, content: string | Uint8Array): void {
    const path = this.path(name)
    const bytes = typeof content === 'string' ? utf8(content) : content
    this.write(path, () => replaceFile(this.files, path, bytes))
  }

  private write(path: string, action: () => void): void {
    try {
      action()
    } catch (error) {
      throw agentFault('AGENT_STORE_WRITE', { file: path }, { cause: error })
    }
  }
}

const planFile = (digest: Digest): string => `${digest.slice('sha256:'.length)}.json`
