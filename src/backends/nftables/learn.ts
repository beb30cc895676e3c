// Learned grants: elements with a timeout in two maps beside the generations, from (interface, address, protocol, port) to the
// conntrack mark of the clause. A flow keeps the mark; what makes either worth anything is the set of live clauses, which
// belongs to the generation. So a commit carries over what unchanged clauses learnt without touching it, and drops the rest.

import { setImmediate as othersTurn } from 'node:timers/promises'
import type { LearnedGrant } from '../../plan/model.js'
import { joinKeys, type KernelElement, nameKey, tupleKey } from './kernel-set.js'
import { NftError } from './libnftables.js'
import { elementsOf, type ReadElement } from './readback.js'
import type { WorkspaceRecord } from './record.js'
import { refreshesTimeouts } from './refresh.js'
import { TABLE } from './scaffold.js'
import type { Session } from './session.js'
import { isStanding } from './standing.js'

type MapName = 'learned4' | 'learned6'
const MAPS: readonly MapName[] = ['learned4', 'learned6']
const mapOf = (key: string): MapName => ((key.split(' . ')[1] ?? '').includes(':') ? 'learned6' : 'learned4')

/**
 * Elements that are changed in one transaction, which a flag may have to wait for, or asked for in one turn of the process: a tenth of a
 * millisecond in the kernel, and less than one in all.
 */
export const SHORT = 64

/** The grants behind one element, by its key. */
type Touched = readonly [key: string, held: LearnedGrant[]]

/**
 * False when the generation is not live, a clause is not the workspace's, or what was written is not there afterwards. The kernel
 * is asked for its generation before and after: another process may have switched, and then what was written goes again. Written
 * aside and read back over the line, a short piece at a time, and everything else of the process has its turn in between.
 */
export async function learn(session: Session, generation: number, grants: readonly LearnedGrant[]): Promise<boolean> {
  if (session.live?.generation !== generation) return false
  // Before anything is written, and before it is asked what stands: it takes several transactions of its own the first time.
  const renews = await refreshesTimeouts(session)
  if (!isStanding(generation, session.line)) return false
  const touched = touchedBy(session, grants)
  if (!touched) return false
  const written = new Map<string, KernelElement>()
  let isThere = true
  for (let at = 0; at < touched.length && isThere; at += SHORT)
    isThere = await write(session, touched.slice(at, at + SHORT), renews, written)
  forgetExpired(session, Date.now())
  isThere = (await readBack(session, written)) && isThere
  if (isStanding(generation, session.line)) return isThere
  await takeBack(session, written)
  return false
}

/** What each element that these grants are about is to stand for; undefined when a clause is not the workspace's. */
function touchedBy(session: Session, grants: readonly LearnedGrant[]): readonly Touched[] | undefined {
  const nowMs = Date.now()
  const touched = new Map<string, LearnedGrant[]>()
  for (const grant of grants) {
    const at = session.live?.workspaces.find(({ workspace }) => workspace === grant.workspace)
    const known = at?.clauses.some(({ clause }) => clause === grant.clause) === true
    if (grant.expiresAtMs > 0 && !known) return undefined
    if (!at || (grant.expiresAtMs > 0 && grant.expiresAtMs <= nowMs)) continue
    const key = `${at.interface} . ${grant.address} . ${grant.protocol} . ${grant.port}`
    const held = touched.get(key) ?? (session.learned.get(key) ?? []).filter((one) => one.expiresAtMs > nowMs)
    const others = held.filter(({ clause }) => clause !== grant.clause)
    touched.set(key, grant.expiresAtMs > 0 ? [...others, grant] : others)
  }
  return [...touched]
}

/** One transaction, with what is in the kernel after it added to `written`; false when the kernel refuses, and then nothing was changed. */
async function write(
  session: Session,
  touched: readonly Touched[],
  renews: boolean,
  written: Map<string, KernelElement>,
): Promise<boolean> {
  const nowMs = Date.now()
  const changes: KernelElement[] = []
  const added: [string, KernelElement][] = []
  try {
    for (const [key, held] of touched) {
      const winner = lastOf(held)
      const old = lastOf(session.learned.get(key) ?? [])
      // An element cannot change its mark and on older kernels not its timeout: it is replaced within the transaction.
      if (old && !(old.clause === winner?.clause && renews))
        changes.push({ ...elementOf(session, key, old, nowMs), remove: true })
      if (!winner) continue
      const element = elementOf(session, key, winner, nowMs)
      changes.push(element)
      added.push([key, element])
    }
    await session.aside.change(changes)
  } catch (error) {
    // The maps are gone, or the element is, or an address is none: nothing was written.
    if (error instanceof NftError) return false
    throw error
  }
  for (const [key, held] of touched)
    if (held.length > 0) session.learned.set(key, held)
    else session.learned.delete(key)
  for (const [key, element] of added) written.set(key, element)
  return true
}

/** Every element is there, as the kernel itself says. One that somebody took away is remembered no longer, so that the next look misses it. */
async function readBack(session: Session, written: ReadonlyMap<string, KernelElement>): Promise<boolean> {
  let asked = 0
  let isThere = true
  for (const [name, { set, key }] of written) {
    if (asked > 0 && asked % SHORT === 0) await othersTurn()
    asked++
    const there = session.line.ask(set, key)
    if (there === 0) session.learned.delete(name)
    isThere &&= there === 1
  }
  return isThere
}

/** Its clauses may be live no more. */
async function takeBack(session: Session, written: ReadonlyMap<string, KernelElement>): Promise<void> {
  const removals = [...written].map(([name, element]) => [name, { ...element, remove: true }] as const)
  const isGone = await remove(
    session,
    removals.map(([, element]) => element),
  )
  // One that the other process gave another mark refuses all of them: each goes by itself then, and what is there still is remembered.
  for (const [name, element] of removals)
    if (isGone || (await remove(session, [element])) || session.line.ask(element.set, element.key) === 0)
      session.learned.delete(name)
}

/** False when the kernel refuses, and then nothing was removed. */
async function remove(session: Session, elements: readonly KernelElement[]): Promise<boolean> {
  try {
    await session.aside.change(elements)
    return true
  } catch (error) {
    if (error instanceof NftError) return false
    throw error
  }
}

/** What the kernel has let go by itself need not be remembered; looked for whenever the memory has doubled. */
function forgetExpired(session: Session, nowMs: number): void {
  if (session.learned.size < session.learnedLimit) return
  for (const [key, held] of session.learned)
    if (held.every(({ expiresAtMs }) => expiresAtMs <= nowMs)) session.learned.delete(key)
  session.learnedLimit = Math.max(1024, 2 * session.learned.size)
}

/** One key holds one mark: of several clauses, the one whose grant lasts longest. */
const lastOf = (held: readonly LearnedGrant[]): LearnedGrant | undefined =>
  held.reduce<LearnedGrant | undefined>(
    (best, one) => (!best || one.expiresAtMs > best.expiresAtMs ? one : best),
    undefined,
  )

function elementOf(session: Session, key: string, grant: LearnedGrant, nowMs: number): KernelElement {
  const at = session.live?.workspaces.find(({ workspace }) => workspace === grant.workspace)
  const mark = at?.clauses.find(({ clause }) => clause === grant.clause)?.mark ?? 0
  const comment = `g${grant.generation} ${grant.clause} ${grant.name.replace(/[^A-Za-z0-9.*_-]/g, '_')}`
  return { family: 'inet', set: mapOf(key), key: packKey(key), mark, timeoutMs: grant.expiresAtMs - nowMs, comment }
}

function packKey(key: string): Uint8Array {
  const [link = '', address = '', protocol = '', port] = key.split(' . ')
  return joinKeys(nameKey(link), tupleKey(address, protocol, Number(port)))
}

/**
 * After a commit: what belongs to no live clause of the workspace at its interface goes, so that no later plan revives it.
 * `before` is the record of the plan before; without one nobody can say what belongs to whom, and all of it goes.
 */
export async function pruneLearned(session: Session, before: readonly WorkspaceRecord[] | undefined): Promise<void> {
  if (!before) {
    session.learned.clear()
    await session.writer.run(MAPS.map((name) => `flush map inet ${TABLE} ${name}\n`).join(''))
    return
  }
  // Another process may have learnt since this one looked.
  await adoptLearned(session, before)
  const nowMs = Date.now()
  const changes: KernelElement[] = []
  const generation = session.live?.generation ?? 0
  for (const [key, held] of session.learned) {
    const link = key.split(' . ')[0]
    const at = session.live?.workspaces.find((one) => one.interface === link)
    const kept = held
      .filter((one) => one.expiresAtMs > nowMs && one.workspace === at?.workspace)
      .filter((one) => at?.clauses.some(({ clause }) => clause === one.clause))
      .map((one) => ({ ...one, generation }))
    const [old, winner] = [lastOf(held), lastOf(kept)]
    if (old && old.clause !== winner?.clause) {
      changes.push(staleElement(key, old, before))
      if (winner) changes.push(elementOf(session, key, winner, nowMs))
    }
    if (kept.length > 0) session.learned.set(key, kept)
    else session.learned.delete(key)
  }
  await session.aside.change(changes)
}

/** An element as it may still be there: adding it again needs the mark it had. */
function staleElement(key: string, old: LearnedGrant, before: readonly WorkspaceRecord[]): KernelElement {
  const clauses = before.find(({ workspace }) => workspace === old.workspace)?.clauses ?? []
  const mark = clauses.find(({ clause }) => clause === old.clause)?.mark ?? 0
  return { family: 'inet', set: mapOf(key), key: packKey(key), mark, timeoutMs: 1000, remove: true }
}

/** The kernel knows them: name, clause and generation stand in the comment. `places` say whose interface is whose. */
export async function adoptLearned(
  session: Session,
  places: readonly WorkspaceRecord[] = session.live?.workspaces ?? [],
): Promise<void> {
  for (const name of MAPS) {
    const elements = elementsOf(await session.reader.list(`list map inet ${TABLE} ${name}`).catch(() => [])) // no table yet
    for (const element of elements) {
      const grant = grantOf(session, places, element)
      const held = session.learned.get(element.key) ?? []
      const same = held.find(({ clause }) => clause === grant?.clause)
      if (grant && (!same || same.expiresAtMs < grant.expiresAtMs - 1000))
        session.learned.set(element.key, [...held.filter((one) => one !== same), grant])
    }
  }
}

function grantOf(
  session: Session,
  places: readonly WorkspaceRecord[],
  { key, comment = '', expiresS = 0 }: ReadElement,
): LearnedGrant | undefined {
  const [link, address = '', protocol, port] = key.split(' . ')
  const at = places.find((one) => one.interface === link)
  const said = /^g(\d+) (sha256:[0-9a-f]{64}) (.*)$/.exec(comment)
  if (!at || !said || (protocol !== 'tcp' && protocol !== 'udp')) return undefined
  return {
    workspace: at.workspace,
    clause: said[2] as LearnedGrant['clause'],
    name: said[3] ?? '',
    protocol,
    address,
    port: Number(port),
    // A commit carries grants over without touching them, so the comment may name an older generation.
    generation: session.live?.generation ?? Number(said[1]),
    expiresAtMs: Date.now() + expiresS * 1000,
  }
}
