// Quarantines and lifts that the trail may not have yet. The write that puts one on record marks it, so nothing comes before a fence
// for it and no death between the two loses its event; the mark goes when the event is on disk. A mark that is there when a node
// stands was left by a process that died, or by a trail that had no room: its event is told late, unless the journal has it.
//
// So each stands in the journal once. Twice, under the same command id, where power was cut between the two halves of its event, where
// the clock was set back, or where a second process stands while the first one tells.

import type { Fact } from '../audit/fact.js'
import { policyContext, workspaceContext } from './context.js'
import type { AgentNode, Kept } from './node.js'
import { alone } from './quarantine-lock.js'
import { keptReceipt } from './receipt.js'
import type { Lift, Quarantine, Quarantines } from './record.js'
import type { Store } from './store.js'
import { inJournal } from './untold-journal.js'

export type Told = Extract<Fact, { readonly kind: 'quarantine-set' | 'quarantine-lifted' }>

/** Names one quarantine or lift: a command may be of many workspaces, and what ended may come again under its own id. */
const keyOf = (
  kind: Told['kind'],
  { workspace, commandId, atMs }: Pick<Quarantine, 'workspace' | 'commandId' | 'atMs'>,
) => `${kind} ${workspace} ${commandId} ${atMs}`
export const keyOfSet = (entry: Quarantine): string => keyOf('quarantine-set', entry)
export const keyOfLift = ({ of, commandId, atMs }: Lift): string =>
  keyOf('quarantine-lifted', { workspace: of.workspace, commandId, atMs })

interface Known {
  /** Told by this process, or about to be. */
  readonly begun: Set<string>
  /** Whether the trail has it on disk by now. */
  readonly asked: Map<string, () => Promise<Kept>>
}

/** What a process knows of its own; it is gone with it, and then the journal is asked. */
const KNOWN = new WeakMap<Store, Known>()
function knownOf(store: Store): Known {
  const known = KNOWN.get(store) ?? { begun: new Set(), asked: new Map() }
  KNOWN.set(store, known)
  return known
}

/** From now on this process is the one who tells it. */
export function beginTelling(store: Store, key: string): void {
  knownOf(store).begun.add(key)
}

const isBegun = (store: Store, key: string): boolean => knownOf(store).begun.has(key)

/** Puts it into the trail. Waits for the disk as long as `emit` does; whether it is there is asked by `forgetTold`. */
export async function tellKept(node: AgentNode, key: string, fact: Told): Promise<void> {
  beginTelling(node.store, key)
  if (node.keep) knownOf(node.store).asked.set(key, await node.keep([fact]))
  else {
    await node.emit([fact])
    knownOf(node.store).asked.set(key, () => Promise.resolve('there'))
  }
}

/** Takes away the marks of what is on disk. Never throws: a mark that stays costs a look into the journal. */
export async function forgetTold(node: Pick<AgentNode, 'store'>): Promise<void> {
  const { begun, asked } = knownOf(node.store)
  const there = new Set<string>()
  try {
    for (const [key, ask] of asked) {
      const kept = await ask()
      // The others wait for the same disk.
      if (kept === 'waits') break
      if (kept === 'there') there.add(key)
      else {
        // It may be what was lost: whoever tells what is left looks for it in the journal.
        asked.delete(key)
        begun.delete(key)
      }
    }
    if (there.size === 0) return
    await alone(node, false, () => {
      const { list, lifts } = node.store.quarantineRecord()
      const isMarked = (entry: Quarantine): boolean => entry.untoldMs !== undefined && there.has(keyOfSet(entry))
      const marked = [...list, ...lifts.map(({ of }) => of)].some(isMarked)
      if (marked || lifts.some((lift) => there.has(keyOfLift(lift)))) {
        const bare = (entry: Quarantine): Quarantine => (isMarked(entry) ? unmarked(entry) : entry)
        const left = lifts.map((lift) => ({ ...lift, of: bare(lift.of) }))
        node.store.saveQuarantines(
          list.map(bare),
          left.filter((lift) => lift.of.untoldMs !== undefined || !(lift.isVain || there.has(keyOfLift(lift)))),
        )
      }
      return Promise.resolve()
    })
    for (const key of there) {
      asked.delete(key)
      begun.delete(key)
    }
  } catch {
    // A list that cannot be read or written has louder witnesses; it is tried again.
  }
}

/** The last lift of it, where nobody here tells that one, nor fenced the workspace since: it may have been cut short before it let out. */
export function cutShort(store: Store, { list, lifts }: Quarantines, workspace: string): Lift | undefined {
  if (list.some((entry) => entry.workspace === workspace)) return undefined
  const last = lifts.findLast(({ of }) => of.workspace === workspace)
  return last && !isBegun(store, keyOfLift(last)) ? last : undefined
}

/** The lifts, once these workspaces were found fenced still when somebody fenced them anew: what let nobody out is never told as a lift. */
export const withoutVain = (store: Store, record: Quarantines, fenced: ReadonlySet<string>): readonly Lift[] =>
  record.lifts.flatMap((lift) => {
    if (!fenced.has(lift.of.workspace) || cutShort(store, record, lift.of.workspace) !== lift) return [lift]
    return lift.of.untoldMs === undefined ? [] : [{ ...lift, isVain: true as const }]
  })

export const unmarked = ({ untoldMs, ...entry }: Quarantine): Quarantine => entry

/** One that may not be told. */
export interface Left {
  readonly key: string
  /** When it was asked for: no event of it is older. */
  readonly askedAtMs: number
  readonly fact: Told
}

/**
 * Tells what a process that died did not: with the time at which it was done, as late. A lift whose flag is in the kernel still let
 * nobody out: it waits until somebody lifts or fences again, or the flag is gone. Never throws: what fails is tried when the node stands again.
 */
export async function tellLeft(node: AgentNode): Promise<void> {
  try {
    const { begun, asked } = knownOf(node.store)
    const record = node.store.quarantineRecord()
    const all = [...markedOf(record), ...(await releasedOf(node, record))]
    const left = all.filter(({ key }) => !begun.has(key)).sort((a, b) => a.fact.atMs - b.fact.atMs)
    if (left.length > 0) {
      const there = await inJournal(node.config.eventsFile, left)
      for (const one of left) {
        const { key, fact } = one
        if (there.has(key)) asked.set(key, () => Promise.resolve('there'))
        else
          await tellKept(node, key, { ...fact, ...contextOf(node, fact.workspace.workspace), ...receiptOf(node, one) })
      }
    }
  } catch {
    // A list or a backend that cannot be read is told by whoever stands on it, and a journal likewise.
  }
  await forgetTold(node)
}

/** Tells of one that no command asked for. */
export const tellSet = (node: AgentNode, entry: Quarantine): Promise<void> =>
  tellKept(node, keyOfSet(entry), { ...factOf(entry), ...contextOf(node, entry.workspace) })

/** With the time at which the fence stood. */
function factOf({ workspace, reason, by, commandId, atMs, untoldMs: elapsedMs = 0 }: Quarantine): Told {
  const done = { reason, by, commandId, atMs: atMs + elapsedMs, elapsedMs }
  return { kind: 'quarantine-set', workspace: bareContext(workspace), ...done }
}

const markedOf = ({ list, lifts }: Quarantines): readonly Left[] =>
  [...list, ...lifts.map(({ of }) => of)]
    .filter(({ untoldMs }) => untoldMs !== undefined)
    .map((entry) => ({ key: keyOfSet(entry), askedAtMs: entry.atMs, fact: { ...factOf(entry), isLate: true } }))

async function releasedOf({ backends }: AgentNode, { list, lifts }: Quarantines): Promise<readonly Left[]> {
  if (lifts.length === 0) return []
  const fenced = new Set<string>()
  for (const { driver, capabilities } of backends.values())
    if (capabilities.usable) for (const one of (await driver.observe()).live?.quarantined ?? []) fenced.add(one)
  // Who is on record was fenced anew after the lift.
  for (const { workspace } of list) fenced.delete(workspace)
  return lifts.flatMap((lift) => {
    const { of, reason, by, commandId, atMs, isVain } = lift
    if (isVain || fenced.has(of.workspace)) return []
    const done = { reason, by, commandId, atMs, isLate: true } as const
    const fact = { kind: 'quarantine-lifted', workspace: bareContext(of.workspace), ...done } as const
    return [{ key: keyOfLift(lift), askedAtMs: atMs, fact }]
  })
}

const bareContext = (workspace: string) => workspaceContext(undefined, workspace)

/** The policy of now: what was live then is not known any more. */
function contextOf(node: AgentNode, workspace: string): Partial<Pick<Told, 'policy' | 'workspace'>> {
  try {
    const { live } = node.store.load()
    if (!live) return {}
    const plan = node.store.loadPlan(live.planDigest)
    return { policy: policyContext(live), workspace: workspaceContext(plan, workspace) }
  } catch {
    // A state that cannot be read keeps no event back.
    return {}
  }
}

/** The receipt that was made before the death; one that was not is not made any more, since nobody counted then. */
function receiptOf({ store }: AgentNode, { fact, askedAtMs }: Left): Pick<Told, 'receipt'> {
  const kind = fact.kind === 'quarantine-set' ? fact.kind : 'quarantine-lift'
  const { commandId } = fact
  const receipt = keptReceipt(store.directory, askedAtMs, { kind, commandId, workspace: fact.workspace.workspace })
  return receipt ? { receipt } : {}
}
