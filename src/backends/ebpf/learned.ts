// Grants learnt from names: kept beside the generations, each naming its clause, and good only while a live generation has
// that clause. One tuple may be learnt by a few clauses at once. The kernel's map holds what packets are judged by; a second
// map, which no program reads, holds the names, so that the next agent can say what it found.

import { formatIp, parseIp } from '../../base/ip.js'
import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
import type { Fence } from './fence.js'
import { addressAt, clauseKey, clauseOctets, LEARNED_CLAUSES, PROTOCOL, putAddress, STRUCTS, viewOf } from './layout.js'
import type { Tenants } from './tenants.js'

const NOTE = { size: 384, expires: 0, clause: 8, length: 40, name: 44, names: 340 } as const
const KEY = STRUCTS.fence_learned_key
const ROW = STRUCTS.fence_learned
const MS = 1_000_000n
const MAX_NOTES = 131_072
/** Tuples that one workspace may have learnt: what it asks for next makes room among its own. */
const MOST_EACH = 8192
const ROOM = MOST_EACH / 16

/** Every grant under one tuple, oldest first. */
interface Entry {
  readonly key: Buffer
  readonly workspace: WorkspaceId
  readonly grants: LearnedGrant[]
}

export class Learned {
  private readonly entries = new Map<string, Entry>()
  private readonly held = new Map<WorkspaceId, number>()

  /** Reads what an earlier agent left. */
  constructor(
    private readonly fence: Fence,
    private readonly tenants: Tenants,
    generation: number,
  ) {
    this.reload(generation)
  }

  /** The kernel's notes are the authority: another process may have learnt, renewed or taken away since this one looked. */
  private reload(generation: number): void {
    this.entries.clear()
    this.held.clear()
    const keySize = KEY.size + 16
    const { native } = this.fence
    const map = this.fence.map('notes')
    const { keys, values, count } = native.dump('reading learned grants', map, keySize, NOTE.size, MAX_NOTES)
    for (let i = 0; i < count; i++) {
      const key = Buffer.from(keys.subarray(i * keySize, i * keySize + KEY.size))
      const grant = this.grantOf(key, values.subarray(i * NOTE.size, (i + 1) * NOTE.size), generation)
      if (grant) this.entryOf(key, grant.workspace).grants.push(grant)
    }
  }

  /** Adds grants; each is in the kernel when this returns. One that expires at 0 is taken away. */
  add(grants: readonly LearnedGrant[]): void {
    for (const grant of grants) {
      const key = this.keyOf(grant)
      if (!key) continue
      if (grant.expiresAtMs <= 0) {
        this.takeBack(key, grant)
        continue
      }
      if ((this.held.get(grant.workspace) ?? 0) >= MOST_EACH) this.makeRoom(grant.workspace)
      const entry = this.entryOf(key, grant.workspace)
      const same = entry.grants.findIndex((held) => held.clause === grant.clause)
      if (same >= 0) {
        const held = entry.grants[same] as LearnedGrant
        entry.grants[same] = held.expiresAtMs > grant.expiresAtMs ? held : grant
      } else {
        entry.grants.push(grant)
        // The one that would end first makes room: there are as many places as a name has clauses in practice.
        if (entry.grants.length > LEARNED_CLAUSES) {
          const [first] = [...entry.grants].sort((a, b) => a.expiresAtMs - b.expiresAtMs)
          entry.grants.splice(entry.grants.indexOf(first as LearnedGrant), 1)
          this.forget(key, first as LearnedGrant)
        }
      }
      this.write(entry)
      const kept = entry.grants.find((one) => one.clause === grant.clause)
      if (kept) this.note(key, kept)
    }
  }

  private takeBack(key: Buffer, grant: LearnedGrant): void {
    const name = key.toString('hex')
    const entry = this.entries.get(name)
    const at = entry?.grants.findIndex((held) => held.clause === grant.clause) ?? -1
    if (!entry || at < 0) return
    entry.grants.splice(at, 1)
    this.forget(key, grant)
    if (entry.grants.length > 0) this.write(entry)
    else this.drop(name, entry)
  }

  /** After a change of plan: drops what its clause no longer carries, and what has expired; the rest gets the new number. */
  carryOver(clauses: ReadonlyMap<WorkspaceId, ReadonlySet<string>>, generation: number, nowMs: number): void {
    this.reload(generation)
    for (const [name, entry] of this.entries) {
      const kept = entry.grants.filter(
        (grant) => clauses.get(grant.workspace)?.has(grant.clause) && grant.expiresAtMs > nowMs,
      )
      if (kept.length < entry.grants.length) {
        for (const grant of entry.grants) if (!kept.includes(grant)) this.forget(entry.key, grant)
        entry.grants.splice(0, entry.grants.length, ...kept)
        if (kept.length === 0) {
          this.drop(name, entry)
          continue
        }
        this.write(entry)
      }
      for (const [i, grant] of entry.grants.entries()) entry.grants[i] = { ...grant, generation }
    }
  }

  list(): LearnedGrant[] {
    return [...this.entries.values()].flatMap((entry) => entry.grants)
  }

  /** Takes away what no packet can use any more, so that the table has room. */
  forgetExpired(nowMs: number, generation: number): void {
    const isOver = (entry: Entry): boolean => entry.grants.every((grant) => grant.expiresAtMs <= nowMs)
    if (![...this.entries.values()].some(isOver)) return
    this.reload(generation)
    for (const [name, entry] of this.entries)
      if (isOver(entry)) {
        for (const grant of entry.grants) this.forget(entry.key, grant)
        this.drop(name, entry)
      }
  }

  /** Drops those of a workspace that would end first. */
  private makeRoom(workspace: WorkspaceId): void {
    const ends = (entry: Entry): number => Math.max(...entry.grants.map((grant) => grant.expiresAtMs))
    const own = [...this.entries].filter(([, entry]) => entry.workspace === workspace)
    for (const [name, entry] of own.sort(([, a], [, b]) => ends(a) - ends(b)).slice(0, ROOM)) {
      for (const grant of entry.grants) this.forget(entry.key, grant)
      this.drop(name, entry)
    }
  }

  private drop(name: string, entry: Entry): void {
    // Gone already is what is wanted.
    this.fence.native.ask('mapDelete', this.fence.map('learned'), entry.key)
    this.entries.delete(name)
    this.held.set(entry.workspace, (this.held.get(entry.workspace) ?? 1) - 1)
  }

  private entryOf(key: Buffer, workspace: WorkspaceId): Entry {
    const name = key.toString('hex')
    let entry = this.entries.get(name)
    if (!entry) {
      entry = { key, workspace, grants: [] }
      this.entries.set(name, entry)
      this.held.set(workspace, (this.held.get(workspace) ?? 0) + 1)
    }
    return entry
  }

  private keyOf(grant: LearnedGrant): Buffer | undefined {
    const ip = parseIp(grant.address)
    if (!ip) return undefined
    const key = Buffer.alloc(KEY.size)
    putAddress(viewOf(key), KEY.fields.address, ip)
    key.writeUInt32LE(this.tenants.numberOf(grant.workspace), KEY.fields.tenant)
    key.writeUInt16LE(grant.port, KEY.fields.port)
    key.writeUInt8(PROTOCOL[grant.protocol], KEY.fields.protocol)
    key.writeUInt8(ip.family, KEY.fields.family)
    return key
  }

  private write(entry: Entry): void {
    const { native } = this.fence
    const row = Buffer.alloc(ROW.size)
    const bootNs = native.bootNs()
    const nowMs = Date.now()
    for (const [i, grant] of entry.grants.entries()) {
      row.set(clauseOctets(grant.clause), ROW.fields.clause + i * 16)
      const leftMs = Math.max(0, Math.ceil(grant.expiresAtMs - nowMs))
      row.writeBigUInt64LE(leftMs === 0 ? 0n : bootNs + BigInt(leftMs) * MS, ROW.fields.expires_ns + i * 8)
    }
    native.call('adding a learned grant', 'mapWrite', this.fence.map('learned'), entry.key, row, 1, KEY.size, ROW.size)
  }

  private note(key: Buffer, grant: LearnedGrant): void {
    const value = Buffer.alloc(NOTE.size)
    value.writeDoubleLE(grant.expiresAtMs, NOTE.expires)
    value.set(Buffer.from(grant.clause.slice(-64), 'hex'), NOTE.clause)
    value.writeUInt32LE(value.write(grant.name, NOTE.name, NOTE.names, 'utf8'), NOTE.length)
    const { native } = this.fence
    const noteKey = Buffer.concat([key, clauseOctets(grant.clause)])
    native.call(
      'noting a learned grant',
      ...(['mapWrite', this.fence.map('notes'), noteKey, value, 1, noteKey.length, NOTE.size] as const),
    )
  }

  private forget(key: Buffer, grant: LearnedGrant): void {
    // Gone already is what is wanted.
    this.fence.native.ask('mapDelete', this.fence.map('notes'), Buffer.concat([key, clauseOctets(grant.clause)]))
  }

  private grantOf(key: Buffer, note: Buffer, generation: number): LearnedGrant | undefined {
    const workspace = this.tenants.nameOf(key.readUInt32LE(KEY.fields.tenant))
    if (workspace === undefined) return undefined
    const family = key.readUInt8(KEY.fields.family) === 6 ? 6 : 4
    return {
      workspace,
      clause: `sha256:${clauseKey(note.subarray(NOTE.clause, NOTE.clause + 32))}`,
      name: note.toString('utf8', NOTE.name, NOTE.name + note.readUInt32LE(NOTE.length)),
      protocol: key.readUInt8(KEY.fields.protocol) === PROTOCOL.tcp ? 'tcp' : 'udp',
      address: formatIp(addressAt(viewOf(key), KEY.fields.address, family)),
      port: key.readUInt16LE(KEY.fields.port),
      generation,
      expiresAtMs: note.readDoubleLE(NOTE.expires),
    }
  }
}
