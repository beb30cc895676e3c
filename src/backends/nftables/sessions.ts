// Peers with a session open (plan/sessions.ts): elements with a timeout in two sets beside the generations, from (interface, peer).
// The grants that ask for a session are looked up only for who is there, in both directions, so that the end of an element is
// the end of its flows, agent or no agent. Their conntrack entries stay behind and are destroyed before the same peer may
// open a session again, or another plan may grant what it came by.

import type { SessionPeer } from '../../plan/model.js'
import { nftablesFault } from './errors.js'
import { comingJudge, cutFlows } from './flows.js'
import { addressKey, joinKeys, type KernelElement, nameKey } from './kernel-set.js'
import { NftError } from './libnftables.js'
import { commentOf } from './lower.js'
import type { FlowGrant } from './program.js'
import { elementsOf, type ReadElement } from './readback.js'
import { TABLE } from './scaffold.js'
import type { Place, Session } from './session.js'
import { readComing, readJudged, requireStanding } from './standing.js'

const SETS = ['sessions4', 'sessions6'] as const
const setOf = (peer: string): (typeof SETS)[number] => (peer.includes(':') ? 'sessions6' : 'sessions4')
const packed = (name: string, peer: string): Uint8Array => joinKeys(nameKey(name), addressKey(peer))
const keyOf = (name: string, peer: string): string => `${name} . ${peer}`

/** What the wall clock and the kernel's may differ by over the life of a session, and a look may take. */
const CLOCKS_MS = 2_500

/** One element, by the kernel's own word; whole seconds are all that it says of its end. */
export interface OpenElement {
  readonly interface: string
  readonly peer: string
  readonly expiresS?: number
}

/** Whoever has a session open anywhere; nobody where there is no such set. Rejects with NftError when it cannot be read. */
export async function readOpen(session: Session): Promise<readonly OpenElement[]> {
  const found: OpenElement[] = []
  for (const name of SETS)
    for (const { key, expiresS } of await elementsIn(session, name)) {
      const [link = '', peer = ''] = key.split(' . ')
      found.push({ interface: link, peer, ...(expiresS === undefined ? {} : { expiresS }) })
    }
  return found
}

const elementsIn = (session: Session, set: string): Promise<readonly ReadElement[]> =>
  session.reader.list(`list set inet ${TABLE} ${set}`).then(elementsOf, absent)

/** Before the first commit, and in what an older version left, there is none; any other trouble is no answer. */
function absent(error: unknown): readonly ReadElement[] {
  if (error instanceof NftError && error.message.includes('No such file or directory')) return []
  throw error
}

/** Who has a session open at these places, by interface. */
export async function openAt(
  session: Session,
  places: readonly Pick<Place, 'interface'>[],
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const open = new Map<string, Set<string>>()
  // Nobody opened one, and nothing was found when the fence was adopted: a commit need not ask.
  if (session.open.size === 0) return open
  for (const { interface: name, peer } of await readOpen(session))
    if (places.some((one) => one.interface === name)) open.set(name, (open.get(name) ?? new Set()).add(peer))
  return open
}

/** As `observe` says it. The ends are those that this process knows, or the kernel's seconds. */
export function sessionsOf(session: Session, open: readonly OpenElement[]): SessionPeer[] {
  return open.flatMap(({ interface: name, peer, expiresS = 0 }) => {
    const workspace = workspaceAt(session, name)
    if (workspace === undefined) return []
    const known = session.open.get(keyOf(name, peer))
    return [{ workspace, peer, expiresAtMs: known?.expiresAtMs ?? Date.now() + expiresS * 1000 }]
  })
}

/** By the record; without one, as the kernel named it when this process came. */
const workspaceAt = (session: Session, name: string): string | undefined =>
  (session.live?.workspaces ?? session.found).find((one) => one.interface === name)?.workspace

export async function adoptSessions(session: Session): Promise<void> {
  for (const { interface: name, peer, expiresS = 0 } of await readOpen(session)) {
    const workspace = workspaceAt(session, name) ?? name
    session.open.set(keyOf(name, peer), { workspace, peer, expiresAtMs: Date.now() + expiresS * 1000 })
  }
}

/** The contract's `sessions`. Throws NFT_READ, NFT_READ_BACK, NFT_CUT; rejects with NftError where the kernel refuses. */
export async function putSessions(
  session: Session,
  workspace: string,
  peers: readonly SessionPeer[],
): Promise<boolean> {
  const at = await placeNow(session, workspace)
  if (!at) return false
  const name = at.interface
  const standing = new Map(
    (await readOpen(session)).flatMap((one) => (one.interface === name ? [[one.peer, one] as const] : [])),
  )
  const before = new Set(standing.keys())
  await cutComing(session, at, before)
  const nowMs = Date.now()
  const wanted = new Map<string, SessionPeer>()
  const lasting = peers.filter((one) => one.expiresAtMs > nowMs)
  for (const one of lasting)
    if ((at.isRecorded || before.has(one.peer)) && one.expiresAtMs >= (wanted.get(one.peer)?.expiresAtMs ?? 0))
      wanted.set(one.peer, one)
  // What this process knows of goes as well, whatever the listing missed.
  const mine = new Set([...before, ...knownAt(session, name)])
  // One whose end is unchanged keeps it: a wall clock that was set back since then puts it off for nobody.
  const kept = new Set(
    [...wanted.values()].flatMap(({ peer, expiresAtMs }) => {
      const { expiresS = Number.POSITIVE_INFINITY } = standing.get(peer) ?? {}
      const isSame = session.open.get(keyOf(name, peer))?.expiresAtMs === expiresAtMs
      return isSame && expiresS * 1000 <= expiresAtMs - nowMs + CLOCKS_MS ? [peer] : []
    }),
  )
  const changed = [...new Set([...mine, ...wanted.keys()])].filter((peer) => !kept.has(peer))
  const elements: KernelElement[] = changed.flatMap((peer) => {
    const element = { family: 'inet' as const, set: setOf(peer), key: packed(name, peer) }
    const one = wanted.get(peer)
    // Not every kernel gives an element another timeout in its place: it is replaced within the transaction.
    return [{ ...element, remove: true }, ...(one ? [{ ...element, timeoutMs: one.expiresAtMs - nowMs }] : [])]
  })
  await session.aside.change(elements)
  // One that ran out since it was looked for began anew: nothing of what was before may go on.
  const lapsed = [...wanted.keys()].filter((peer) => {
    const known = session.open.get(keyOf(name, peer))
    return known !== undefined && known.expiresAtMs <= Date.now()
  })
  for (const peer of mine) session.open.delete(keyOf(name, peer))
  for (const [peer, one] of wanted) session.open.set(keyOf(name, peer), one)
  const found = new Set([...mine, ...wanted.keys()].filter((peer) => isOpen(session, name, peer)))
  for (const peer of mine)
    if (found.has(peer) && !wanted.has(peer))
      throw nftablesFault('NFT_READ_BACK', { wanted: `no session of ${peer}`, found: 'one' })
  for (const { peer, expiresAtMs } of wanted.values())
    if (!found.has(peer) && !kept.has(peer) && expiresAtMs > Date.now())
      throw nftablesFault('NFT_READ_BACK', { wanted: `a session of ${peer}`, found: 'none' })
  await cutComing(session, at, new Set([...found].filter((peer) => !lapsed.includes(peer))))
  return lasting.every(({ peer }) => wanted.has(peer))
}

/**
 * Where a workspace is: by the record while that is of what is live, else by the kernel, with whom it lets in; then peers go and none
 * comes. undefined only where neither has it. Throws NFT_READ; rejects with NftError.
 */
async function placeNow(
  session: Session,
  workspace: string,
): Promise<(Place & { readonly isRecorded: boolean; readonly flowGrants?: readonly FlowGrant[] }) | undefined> {
  const { live } = session
  if (live && requireStanding(live.generation, session.line)) {
    const at = live.workspaces.find((one) => one.workspace === workspace)
    return at && { ...at, isRecorded: true }
  }
  const isMeant = (said: string | undefined): boolean => said === workspace || said === commentOf(workspace)
  if (!(await elementsIn(session, 'attached')).some(({ comment }) => isMeant(comment))) return undefined
  const at = (await readJudged(session)).find((one) => isMeant(one.workspace))
  if (!at) throw nftablesFault('NFT_READ', { what: 'attached', why: `${workspace} is there and is not` })
  return { ...at, isRecorded: false }
}

const knownAt = (session: Session, name: string): readonly string[] =>
  [...session.open.keys()].flatMap((key) => (key.startsWith(`${name} . `) ? [key.slice(name.length + 3)] : []))

/** Before a switch: flows of sessions that are over, and the sessions of whoever is no longer at its interface. Throws NFT_CUT. */
export async function endSessions(session: Session, before: readonly Place[], after: readonly Place[]): Promise<void> {
  if (session.open.size === 0) return
  const open = await readOpen(session)
  for (const at of before) {
    const peers = new Set(open.flatMap((one) => (one.interface === at.interface ? [one.peer] : [])))
    const over = knownAt(session, at.interface).filter((peer) => !peers.has(peer))
    if (over.length === 0) continue
    await cutComing(session, at, peers)
    for (const peer of over) session.open.delete(keyOf(at.interface, peer))
  }
  const stays = (name: string): boolean => {
    const next = after.find((one) => one.interface === name)
    return next !== undefined && before.some((one) => one.interface === name && one.workspace === next.workspace)
  }
  const gone = open.filter((one) => !stays(one.interface))
  await session.aside.change(
    gone.map(({ interface: name, peer }) => ({
      ...{ family: 'inet' as const, set: setOf(peer), key: packed(name, peer), remove: true },
    })),
  )
  for (const { interface: name, peer } of gone) session.open.delete(keyOf(name, peer))
}

/** Destroys what came into the workspace and neither a grant nor a session of these peers allows. */
async function cutComing(
  session: Session,
  at: Place & { readonly flowGrants?: readonly FlowGrant[] },
  peers: ReadonlySet<string>,
): Promise<void> {
  const flowGrants = at.flowGrants ?? (await readComing(session, at))
  await cutFlows(at.addresses, comingJudge({ addresses: at.addresses, flowGrants, services: [], clauses: [], peers }))
}

const isOpen = ({ line }: Session, name: string, peer: string): boolean => line.has(setOf(peer), packed(name, peer))
