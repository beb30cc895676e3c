// Commit: one transaction that switches what is attached, which chains judge it and until when; then it is read back, flows
// that lost their grant are destroyed, and the generation before is taken away. Flows that stay granted notice nothing:
// their conntrack entries are kept and the next packet is judged by the new sets.

import { readFile, writeFile } from 'node:fs/promises'
import { type Digest, digestOfText } from '../../base/digest.js'
import type { Staged } from '../backend.js'
import { nftablesFault } from './errors.js'
import { moveFlags, raiseFlags } from './flag.js'
import { cutFlows, flowJudge } from './flows.js'
import { tuplesDigest } from './kernel-set.js'
import { pruneLearned } from './learn.js'
import type { NftObject } from './libnftables.js'
import { commentOf } from './lower.js'
import { listLinks } from './native.js'
import { addPairs, keepPairs, pairsOf } from './places.js'
import { type NftProgram, namePrefix } from './program.js'
import { elementsOf } from './readback.js'
import { exactFamily, type LiveRecord, livePattern } from './record.js'
import { readRuleset, structureDigest } from './ruleset.js'
import { TABLE } from './scaffold.js'
import { dropChain, hookScript, linkChain, linkScript, scaffoldScript, switchScript } from './script.js'
import { type Place, reasonOf, type Session, type StagedProgram } from './session.js'
import { endSessions, openAt } from './sessions.js'
import { removeObjects } from './stage.js'
import { readJudged, readStanding } from './standing.js'

export const LOOSE = '/proc/sys/net/netfilter/nf_conntrack_tcp_loose'

/** Throws NFT_NOT_STAGED, NFT_COMMIT (nothing changed), NFT_READ_BACK, NFT_CUT (live, but flows are left). */
export async function commit(session: Session, staged: Staged): Promise<void> {
  const held = session.staged.get(staged.generation)
  if (!held) throw nftablesFault('NFT_NOT_STAGED', { generation: staged.generation })
  const { program } = held
  session.tending = true
  await strictConntrack(session)
  const record = session.live
  const before = await placesBefore(session)
  // What cannot be written down afterwards is not begun.
  await session.remember({})
  await endSessions(session, before, program.workspaces)
  const deadlines = await readDeadlines(session, before)
  // While the deadline holds them no packet of these flows passes: destroyed now, none can revive at the switch.
  await cutSuspended(before, expiredOf(deadlines))
  // Wider first: between the two calls the floor guards what was and what will be.
  session.floor.guard([...before, ...program.workspaces])
  await raiseFlags(session, before, program.workspaces)
  await switchOver(session, held, record, before)
  session.staged.delete(staged.generation)
  session.assume(recordOf(held))
  await readBack(session, program)
  await cut(session, program, before)
  await cutSuspended(before, expiredOf(deadlines))
  await moveFlags(session, before, program.workspaces)
  await pruneLearned(session, record?.workspaces)
  session.floor.guard(program.workspaces)
  const objects = await readRuleset('inet')
  const structure = structureDigest(objects, livePattern(program.generation, held.tag))
  await session.remember({ live: { ...recordOf(held), structure } })
  // Nothing reaches the generation before any more. What cannot be removed now is removed after the next commit.
  void session.lane.run(() => removeOldObjects(session, held, objects)).catch(() => undefined)
}

/**
 * Who is attached until now. Where the record and the kernel differ, an agent ended between a switch and its cut: what the live
 * generation does not grant is cut first, or a grant that comes back with this commit would revive it.
 */
async function placesBefore(session: Session): Promise<readonly Place[]> {
  const record = session.live
  const standing = await readStanding(session)
  const agree = record?.generation === standing?.generation && record?.planDigest === standing?.planDigest
  if (!standing || agree) return record?.workspaces ?? []
  const found = await readJudged(session)
  const open = await openAt(session, found)
  const live = found.map((one) => ({ ...one, peers: open.get(one.interface) ?? NOBODY }))
  const gone = (record?.workspaces ?? [])
    .filter((old) => !live.some((one) => one.interface === old.interface))
    .map((old) => ({ ...old, ...NOTHING }))
  const all = [...live, ...gone]
  await cutFlows(
    all.flatMap(({ addresses }) => addresses),
    flowJudge(all),
  )
  const named = (place: Place): Place => ({
    ...place,
    workspace:
      record?.workspaces.find((one) => commentOf(one.workspace) === place.workspace)?.workspace ?? place.workspace,
  })
  return all.map(named)
}
const NOBODY: ReadonlySet<string> = new Set()
const NOTHING = { clauses: [], flowGrants: [], services: [] } as const

async function switchOver(
  session: Session,
  held: StagedProgram,
  record: LiveRecord | null,
  before: readonly Place[],
): Promise<void> {
  const { program, tag } = held
  // A second try when an interface went away between the listing and the transaction that hooks it.
  for (let attempt = 0; ; attempt++) {
    try {
      const names = program.workspaces.map(({ interface: name }) => name)
      // What another version left may be whole and still lack a set of this one: the second try writes everything.
      const intact = attempt === 0 && (await isIntact(record))
      if (!intact) await session.writer.run(scaffoldScript(session.options.attachInterfaces))
      addPairs(pairsOf(names))
      const links = await linkChanges(names, intact ? before.map(({ interface: name }) => name) : undefined)
      const nowMs = Date.now()
      await session.writer.run((intact ? '' : hookScript()) + links + switchScript(program, tag, nowMs))
      keepPairs(pairsOf(names))
      return
    } catch (error) {
      if (attempt === 0) continue
      session.floor.guard(before)
      throw nftablesFault('NFT_COMMIT', { generation: program.generation, why: reasonOf(error) }, { cause: error })
    }
  }
}

/** The constant chains are as this process left them; otherwise the commit writes them again. */
async function isIntact(before: LiveRecord | null): Promise<boolean> {
  if (!before || before.structure === '') return false
  const objects = await readRuleset('inet')
  const hooked = objects.some(({ chain }) => chain?.name === 'hook_forward')
  return hooked && structureDigest(objects, livePattern(before.generation, before.tag)) === before.structure
}

/**
 * Link-layer chains for the interfaces that exist, none for the ones that are no longer attached. `before`: who was attached
 * until now; when nobody goes, or nobody knows, there is nothing to look for or everything.
 */
export async function linkChanges(names: readonly string[], before?: readonly string[]): Promise<string> {
  const present = new Set(listLinks().map(({ name }) => name))
  const stays = before?.every((name) => names.includes(name)) === true
  const objects = stays ? [] : await readRuleset('netdev')
  const there = objects.flatMap(({ chain }) => (chain?.name.startsWith('l2_') ? [chain.name] : []))
  const wanted = new Set(names.map(linkChain))
  return (
    names
      .filter((name) => present.has(name))
      .map(linkScript)
      .join('') +
    there
      .filter((name) => !wanted.has(name))
      .map((name) => dropChain('netdev', name))
      .join('')
  )
}

async function readBack(session: Session, program: NftProgram): Promise<void> {
  const [element] = elementsOf(await session.writer.list(`list set inet ${TABLE} gen`))
  const wanted = `${program.generation} ${program.planDigest}`
  const found = element ? `${element.key} ${element.comment ?? ''}` : 'nothing'
  if (wanted !== found) throw nftablesFault('NFT_READ_BACK', { wanted, found })
}

/** Interface to the time, on the clock of performance.now(), at which the plan before suspends it. */
async function readDeadlines(session: Session, before: readonly Place[]): Promise<Map<string, number>> {
  const listed = elementsOf(await session.writer.list(`list set inet ${TABLE} live`).catch(() => []))
  const now = performance.now()
  const deadlines = new Map(before.map(({ interface: name }) => [name, now]))
  for (const { key, expiresS } of listed)
    if (expiresS === undefined) deadlines.delete(key)
    else deadlines.set(key, now + expiresS * 1000)
  return deadlines
}

const expiredOf = (deadlines: ReadonlyMap<string, number>): ReadonlySet<string> =>
  new Set([...deadlines].filter(([, atMs]) => atMs <= performance.now()).map(([name]) => name))

/** Suspending cuts everything, also when nobody but the clock did it. */
async function cutSuspended(before: readonly Place[], expired: ReadonlySet<string>): Promise<void> {
  const suspended = before.filter(({ interface: name }) => expired.has(name))
  await cutFlows(
    suspended.flatMap(({ addresses }) => addresses),
    () => false,
  )
}

/** Flows without a grant, and every flow of a workspace that is attached no longer. */
async function cut(session: Session, program: NftProgram, before: readonly Place[]): Promise<void> {
  const gone = before.filter((old) => !program.workspaces.some(({ workspace }) => workspace === old.workspace))
  const nothing = gone.map(({ addresses }) => ({ addresses, ...NOTHING }))
  const open = await openAt(session, program.workspaces)
  const keep = flowJudge([
    ...nothing,
    ...program.workspaces.map((one) => ({ ...one, peers: open.get(one.interface) ?? NOBODY })),
  ])
  await cutFlows(
    [...program.workspaces, ...gone].flatMap(({ addresses }) => addresses),
    keep,
  )
}

async function removeOldObjects(session: Session, held: StagedProgram, objects: readonly NftObject[]): Promise<void> {
  const keep = [held, ...session.staged.values()].map(({ program, tag }) => livePattern(program.generation, tag))
  await removeObjects(session, (name) => /^w\d+_g/.test(name) && !keep.some((pattern) => pattern.test(name)), objects)
}

/** Without the structure, which is read back when everything is done: until then any commit writes the scaffold again. */
function recordOf({ program, tag }: StagedProgram): LiveRecord {
  const elements: Record<string, string> = {}
  for (const [index, workspace] of program.workspaces.entries())
    for (const set of workspace.sets) {
      const name = namePrefix(index, program.generation, tag) + set.name
      const family = exactFamily(name)
      elements[name] = family ? tuplesDigest(set.elements) : elementsDigest(set.elements)
    }
  return {
    generation: program.generation,
    planDigest: program.planDigest,
    tag,
    workspaces: program.workspaces.map(({ workspace, interface: name, addresses, clauses }) => ({
      workspace,
      interface: name,
      addresses,
      clauses,
    })),
    structure: '',
    elements,
  }
}

/** The same elements have the same digest in whatever order the kernel lists them. */
export const elementsDigest = (elements: readonly string[]): Digest => digestOfText([...elements].sort().join('\n'))

/** Without this, conntrack adopts packets from the middle of a connection, and a destroyed flow comes back by itself. */
async function strictConntrack(session: Session): Promise<void> {
  const failed = (cause: unknown): never => {
    throw nftablesFault('NFT_CUT', { why: 'nf_conntrack_tcp_loose cannot be set to 0' }, { cause })
  }
  const now = (await readFile(LOOSE, 'utf8').catch(failed)).trim()
  if (now === '0') return
  // Written down first, so that `uninstall` can set it back whatever happens in between.
  if (session.looseBefore === null) await session.remember({ looseBefore: now })
  await writeFile(LOOSE, '0\n').catch(failed)
}
