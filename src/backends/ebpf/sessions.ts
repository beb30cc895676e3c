// Peers with a session open (plan/sessions.ts): a row each in a pinned map beside the generations, with its end on the boot-time
// clock, so that it ends with no agent alive. A flow that a session let in is judged by these rows at every packet; what is
// destroyed here is only kept from coming back when the same peer opens a session again.

import { formatIp, parseIp } from '../../base/ip.js'
import type { SessionPeer } from '../../plan/model.js'
import { ebpfFault } from './errors.js'
import type { Fence } from './fence.js'
import type { Book } from './generation.js'
import { addressAt, MAX_SESSIONS, putAddress, STRUCTS, viewOf } from './layout.js'
import { sweepAll } from './sweep.js'
import type { Tenants } from './tenants.js'

const KEY = STRUCTS.fence_session_key
const ROW = STRUCTS.fence_session
const MS = 1_000_000n

interface Row {
  readonly key: Buffer
  readonly tenant: number
  readonly endsNs: bigint
  readonly endsMs: number
}

export class Sessions {
  constructor(
    private readonly fence: Fence,
    private readonly tenants: Tenants,
  ) {}

  /** Those whose end has not come. */
  list(): SessionPeer[] {
    const nowNs = this.fence.native.bootNs()
    return this.rows().flatMap(({ key, tenant, endsNs, endsMs }) => {
      const workspace = this.tenants.nameOf(tenant)
      const family = key.readUInt8(KEY.fields.family) === 6 ? 6 : 4
      const peer = formatIp(addressAt(viewOf(key), KEY.fields.address, family))
      return workspace === undefined || endsNs <= nowNs ? [] : [{ workspace, peer, expiresAtMs: endsMs }]
    })
  }

  /** These and no others have a session of a workspace; read back, and flows without one are gone. Throws EBPF_NOT_READ_BACK. */
  async put(at: Book['workspaces'][number], peers: readonly SessionPeer[]): Promise<true> {
    const { native } = this.fence
    const map = this.fence.map('sessions')
    await this.cutFlows([at])
    const [nowMs, nowNs] = [Date.now(), native.bootNs()]
    const wanted = new Map<string, { readonly key: Buffer; readonly endsMs: number }>()
    for (const { peer, expiresAtMs } of peers) {
      const key = keyOf(at.tenant, peer)
      const name = key?.toString('hex') ?? ''
      if (key && expiresAtMs > nowMs && expiresAtMs >= (wanted.get(name)?.endsMs ?? 0))
        wanted.set(name, { key, endsMs: expiresAtMs })
    }
    const held = new Map<string, number>()
    for (const { key, tenant, endsMs } of this.rows()) {
      if (tenant !== at.tenant) continue
      if (wanted.has(key.toString('hex'))) held.set(key.toString('hex'), endsMs)
      // Gone already is what is wanted.
      else native.ask('mapDelete', map, key)
    }
    for (const [name, { key, endsMs }] of wanted) {
      // Its end was reckoned when it was opened: a wall clock that was set back since then puts it off for nobody.
      if (held.get(name) === Math.floor(endsMs)) continue
      const row = Buffer.alloc(ROW.size)
      row.writeBigUInt64LE(nowNs + BigInt(Math.floor(endsMs - nowMs)) * MS, ROW.fields.expires_ns)
      row.writeBigUInt64LE(BigInt(Math.floor(endsMs)), ROW.fields.expires_ms)
      native.call('opening a session', 'mapWrite', map, key, row, 1, KEY.size, ROW.size)
    }
    await sweepAll(this.fence, { workspaces: [at] })
    const found = this.rows().filter(({ tenant }) => tenant === at.tenant)
    if (found.length !== wanted.size || found.some(({ key }) => !wanted.has(key.toString('hex'))))
      throw ebpfFault('EBPF_NOT_READ_BACK', { wanted: wanted.size, found: found.length })
    return true
  }

  /** Destroys the flows of sessions that are over, before another plan may grant what they were let in by. */
  async cutOver(book: Book): Promise<void> {
    const nowNs = this.fence.native.bootNs()
    const over = new Set(this.rows().flatMap(({ tenant, endsNs }) => (endsNs <= nowNs ? [tenant] : [])))
    const concerned = book.workspaces.filter(({ tenant }) => over.has(tenant))
    if (concerned.length > 0) await sweepAll(this.fence, { workspaces: concerned })
  }

  /** Of workspaces that are not live nobody has one: the number may be given to another. */
  keepOnly(these: readonly { readonly tenant: number }[]): void {
    const held = new Set(these.map(({ tenant }) => tenant))
    this.drop(({ tenant }) => !held.has(tenant))
  }

  /** Only what no flow needs any more to be known for dead: after a sweep. */
  forgetOver(): void {
    const nowNs = this.fence.native.bootNs()
    this.drop(({ endsNs }) => endsNs + SWEPT_NS <= nowNs)
  }

  /** Sweeps until no session has run out since the sweep began. */
  private async cutFlows(workspaces: readonly Book['workspaces'][number][]): Promise<void> {
    const { native } = this.fence
    const held = new Set(workspaces.map(({ tenant }) => tenant))
    const ends = this.rows().flatMap(({ tenant, endsNs }) => (held.has(tenant) ? [endsNs] : []))
    for (;;) {
      const beganNs = native.bootNs()
      await sweepAll(this.fence, { workspaces })
      const nowNs = native.bootNs()
      if (!ends.some((endsNs) => endsNs >= beganNs && endsNs <= nowNs)) return
    }
  }

  private drop(gone: (row: Row) => boolean): void {
    const map = this.fence.map('sessions')
    // Gone already is what is wanted.
    for (const row of this.rows()) if (gone(row)) this.fence.native.ask('mapDelete', map, row.key)
  }

  private rows(): Row[] {
    const map = this.fence.map('sessions')
    const read = this.fence.native.dump('reading sessions', map, KEY.size, ROW.size, MAX_SESSIONS)
    return Array.from({ length: read.count }, (_, i) => {
      const key = Buffer.from(read.keys.subarray(i * KEY.size, (i + 1) * KEY.size))
      const row = read.values.subarray(i * ROW.size, (i + 1) * ROW.size)
      return {
        key,
        tenant: key.readUInt32LE(KEY.fields.tenant),
        endsNs: row.readBigUInt64LE(ROW.fields.expires_ns),
        endsMs: Number(row.readBigUInt64LE(ROW.fields.expires_ms)),
      }
    })
  }
}

/** A sweep that was under way when a session ended may have left its flows: the next one takes them. */
const SWEPT_NS = 3_000n * MS

function keyOf(tenant: number, peer: string): Buffer | undefined {
  const ip = parseIp(peer)
  if (!ip) return undefined
  const key = Buffer.alloc(KEY.size)
  putAddress(viewOf(key), KEY.fields.address, ip)
  key.writeUInt32LE(tenant, KEY.fields.tenant)
  key.writeUInt8(ip.family, KEY.fields.family)
  return key
}
