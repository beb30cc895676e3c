// What each workspace has learnt: name, address, what it opens and until when. Decides, from one judged answer, which grants
// are to be written, which old ones make room, and which addresses may not be given out because another name that the policy
// tells apart has them already. Values in and out with the time as a parameter; it writes nothing itself.
//
// One grant in the kernel may stand for a few names. It lasts as long as the longest of them, so every expiry that is written
// is the greatest of all that are held for its tuple.

import type { LearnedGrant, MediatorTerms, WorkspaceId } from '../plan/model.js'
import { GRACE_MS, type JudgedAddress, type Opening } from './judge.js'

export const CAPS = {
  /** Addresses of one name. */
  perName: 64,
  /** Grants of one workspace: address, protocol and port. */
  perWorkspace: 4_096,
} as const

export interface Held {
  readonly name: string
  readonly address: string
  readonly opens: readonly Opening[]
  readonly expiresAtMs: number
  /** Under which its grants were last known to be in the kernel; under another they are written again. */
  readonly generation: number
}

/** An address that is withheld, and the name that has it. */
export interface Shared {
  readonly address: string
  readonly name: string
}

export interface Proposal {
  /** What the workspace may be told, in the answer's order, with the lifetime that its grants then have. */
  readonly given: readonly { readonly address: string; readonly ttlSeconds: number }[]
  /** To be written; one that has expired already is taken away. */
  readonly grants: readonly Omit<LearnedGrant, 'generation'>[]
  /** Addresses that the workspace did not have before. */
  readonly news: readonly string[]
  readonly withheld: readonly Shared[]
  /** Addresses shared with another name although the policy tells them apart, as it accepts. */
  readonly shared: readonly Shared[]
  readonly evicted: readonly Held[]
  /** Puts the ledger back as it was: the grants could not be written. */
  readonly undo: () => void
}

interface Book {
  /** By name and address. */
  readonly held: Map<string, Held>
  readonly byAddress: Map<string, Set<string>>
  readonly byName: Map<string, Set<string>>
  /** How many grants all of that is. */
  grants: number
}

const keyOf = (name: string, address: string): string => `${name} ${address}`

export class Ledger {
  private readonly books = new Map<WorkspaceId, Book>()

  /** Judges an answer against what is held, and takes it in at once: two answers on the way at the same time see each other. */
  propose(
    workspace: WorkspaceId,
    name: string,
    addresses: readonly JudgedAddress[],
    terms: MediatorTerms,
    generation: number,
    nowMs: number,
  ): Proposal {
    const { sharedAddresses: acceptsShared, pins } = terms
    const book = this.bookOf(workspace)
    const undo: (() => void)[] = []
    const touched = new Map<string, Opening & { readonly address: string; readonly name: string }>()
    const touch = (held: Held): void => {
      for (const open of held.opens)
        touched.set(`${open.clause} ${open.protocol} ${held.address} ${open.port}`, {
          ...open,
          address: held.address,
          name: held.name,
        })
    }
    const given: { address: string; ttlSeconds: number }[] = []
    const news: string[] = []
    const withheld: Shared[] = []
    const shared: Shared[] = []
    const wanted = addresses.slice(0, CAPS.perName)
    for (const { address, ttlSeconds, opens } of wanted) {
      const pinned = pins.find((pin) => pin.name !== name && pin.addresses.includes(address))?.name
      const other = opens.length === 0 ? undefined : (pinned ?? sharer(book, name, address, opens, nowMs))
      if (other !== undefined) (acceptsShared ? shared : withheld).push({ address, name: other })
      if (other !== undefined && !acceptsShared) continue
      const held = book.held.get(keyOf(name, address))
      const alive = held !== undefined && held.expiresAtMs > nowMs && sameOpenings(held.opens, opens)
      const leftSeconds =
        alive && held.generation === generation ? Math.floor((held.expiresAtMs - GRACE_MS - nowMs) / 1000) : 0
      if (!alive && opens.length > 0) news.push(address)
      // What is held is good for long enough: the client is told the rest of it, and nothing is written.
      if (opens.length === 0 || (leftSeconds >= 1 && leftSeconds >= ttlSeconds / 2)) {
        given.push({ address, ttlSeconds: opens.length === 0 ? ttlSeconds : Math.min(ttlSeconds, leftSeconds) })
        continue
      }
      const next = { name, address, opens, expiresAtMs: nowMs + ttlSeconds * 1000 + GRACE_MS, generation }
      if (held) touch(held)
      undo.push(put(book, next))
      touch(next)
      given.push({ address, ttlSeconds })
    }
    const evicted: Held[] = []
    for (const held of tooMany(book, name, new Set(given.map(({ address }) => address)))) {
      undo.push(take(book, held))
      // What expired by itself is no loss that anybody must be told of.
      if (held.expiresAtMs <= nowMs) continue
      evicted.push(held)
      touch(held)
    }
    const grants = [...touched.values()].map(({ clause, protocol, port, address, name: by }) => ({
      workspace,
      clause,
      name: by,
      protocol,
      address,
      port,
      expiresAtMs: expiryOf(book, { clause, protocol, port }, address),
    }))
    return {
      given,
      grants,
      news,
      withheld,
      shared,
      evicted,
      undo: () => {
        for (const step of undo.reverse()) step()
      },
    }
  }

  /** Takes in what a file or the kernel still has. What is held already is not made shorter. */
  adopt(workspace: WorkspaceId, held: Held): void {
    const book = this.bookOf(workspace)
    const before = book.held.get(keyOf(held.name, held.address))
    if (before && before.expiresAtMs >= held.expiresAtMs) return
    put(book, held)
  }

  /** Forgets what has expired, and what `live` says has no basis any more. */
  prune(nowMs: number, live: (workspace: WorkspaceId, held: Held) => boolean): void {
    for (const [workspace, book] of this.books)
      for (const held of [...book.held.values()])
        if (held.expiresAtMs <= nowMs || !live(workspace, held)) take(book, held)
  }

  /** What is held was found in the kernel under this generation, or has been put there. */
  confirm(generation: number): void {
    for (const book of this.books.values())
      for (const [key, held] of book.held)
        if (held.generation !== generation) book.held.set(key, { ...held, generation })
  }

  /** The policy tells these names apart now: of those on one address, the one that lasts longest keeps it. */
  part(workspace: WorkspaceId, nowMs: number): void {
    const book = this.books.get(workspace)
    if (!book) return
    for (const { address } of this.shared(workspace, nowMs)) {
      const held = [...(book.byAddress.get(address) ?? [])].flatMap((key) => book.held.get(key) ?? [])
      for (const one of soonestFirst(held).slice(0, -1)) take(book, one)
    }
  }

  list(workspace: WorkspaceId): readonly Held[] {
    return [...(this.books.get(workspace)?.held.values() ?? [])]
  }

  workspaces(): readonly WorkspaceId[] {
    return [...this.books.keys()]
  }

  /** The grants that should be in the kernel now. */
  grants(nowMs: number): Omit<LearnedGrant, 'generation'>[] {
    const out = new Map<string, Omit<LearnedGrant, 'generation'>>()
    for (const [workspace, book] of this.books)
      for (const { name, address, opens, expiresAtMs } of book.held.values()) {
        if (expiresAtMs <= nowMs) continue
        for (const { clause, protocol, port } of opens) {
          const key = `${workspace} ${clause} ${protocol} ${address} ${port}`
          const held = out.get(key)
          if (!held || held.expiresAtMs < expiresAtMs)
            out.set(key, { workspace, clause, name, protocol, address, port, expiresAtMs })
        }
      }
    return [...out.values()]
  }

  /** Live addresses that names which the policy tells apart share, for reports. */
  shared(workspace: WorkspaceId, nowMs: number): { readonly address: string; readonly names: readonly string[] }[] {
    const book = this.books.get(workspace)
    if (!book) return []
    return [...book.byAddress].flatMap(([address, keys]) => {
      const held = [...keys].flatMap((key) => book.held.get(key) ?? []).filter((one) => one.expiresAtMs > nowMs)
      const [first] = held
      const apart = first && held.some((one) => !sameClauses(one.opens, first.opens))
      return apart ? [{ address, names: held.map(({ name }) => name).sort() }] : []
    })
  }

  private bookOf(workspace: WorkspaceId): Book {
    const found = this.books.get(workspace)
    if (found) return found
    const made: Book = { held: new Map(), byAddress: new Map(), byName: new Map(), grants: 0 }
    this.books.set(workspace, made)
    return made
  }
}

/** What must go so that both limits hold: of this name, then of the workspace, always what ends first. */
function tooMany(book: Book, name: string, keep: ReadonlySet<string>): Held[] {
  const own = [...(book.byName.get(name) ?? [])].flatMap((key) => book.held.get(key) ?? [])
  const rest = soonestFirst(own.filter(({ address }) => !keep.has(address)))
  const gone = rest.slice(0, Math.max(0, own.length - CAPS.perName))
  let count = book.grants - gone.reduce((sum, held) => sum + held.opens.length, 0)
  if (count <= CAPS.perWorkspace) return gone
  const others = [...book.held.values()].filter((one) => !(one.name === name && keep.has(one.address)))
  for (const held of soonestFirst(others.filter((one) => !gone.includes(one)))) {
    if (count <= CAPS.perWorkspace) break
    count -= held.opens.length
    gone.push(held)
  }
  return gone
}

const soonestFirst = (list: readonly Held[]): Held[] => [...list].sort((a, b) => a.expiresAtMs - b.expiresAtMs)

/** The name that has this address already and that other clauses grant; undefined when there is none. */
function sharer(
  book: Book,
  name: string,
  address: string,
  opens: readonly Opening[],
  nowMs: number,
): string | undefined {
  for (const key of book.byAddress.get(address) ?? []) {
    const held = book.held.get(key)
    if (held && held.name !== name && held.expiresAtMs > nowMs && !sameClauses(held.opens, opens)) return held.name
  }
  return undefined
}

/** Names under the same clauses are the same statement: the policy does not tell them apart. */
function sameClauses(a: readonly Opening[], b: readonly Opening[]): boolean {
  const [one, other] = [new Set(a.map(({ clause }) => clause)), new Set(b.map(({ clause }) => clause))]
  return one.size === other.size && [...one].every((clause) => other.has(clause))
}

const sameOpenings = (a: readonly Opening[], b: readonly Opening[]): boolean =>
  a.length === b.length &&
  a.every((open, i) => {
    const other = b[i]
    return open.clause === other?.clause && open.port === other.port && open.protocol === other.protocol
  })

/** The greatest expiry that is held for a tuple; 0, which takes it away, when nothing holds it. */
function expiryOf(book: Book, open: Opening, address: string): number {
  let latest = 0
  for (const key of book.byAddress.get(address) ?? []) {
    const held = book.held.get(key)
    const same = held?.opens.some(
      (one) => one.clause === open.clause && one.port === open.port && one.protocol === open.protocol,
    )
    if (held && same) latest = Math.max(latest, held.expiresAtMs)
  }
  return latest
}

/** Both give back the step that undoes them. */
function put(book: Book, held: Held): () => void {
  const key = keyOf(held.name, held.address)
  const before = book.held.get(key)
  book.grants += held.opens.length - (before?.opens.length ?? 0)
  book.held.set(key, held)
  index(book.byAddress, held.address, key)
  index(book.byName, held.name, key)
  return () => {
    if (book.held.get(key) !== held) return
    if (before) put(book, before)
    else take(book, held)
  }
}

function take(book: Book, held: Held): () => void {
  const key = keyOf(held.name, held.address)
  if (book.held.delete(key)) book.grants -= held.opens.length
  for (const [map, at] of [
    [book.byAddress, held.address],
    [book.byName, held.name],
  ] as const) {
    const keys = map.get(at)
    keys?.delete(key)
    if (keys?.size === 0) map.delete(at)
  }
  return () => {
    if (!book.held.has(key)) put(book, held)
  }
}

function index(map: Map<string, Set<string>>, at: string, key: string): void {
  const keys = map.get(at)
  if (keys) keys.add(key)
  else map.set(at, new Set([key]))
}
