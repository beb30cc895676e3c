// Flags: quarantined and suspended, as sets of interfaces beside the generations and stronger than all of them. On a libnftables
// context of their own, in one small transaction over the three tables, so that a flag never waits behind a load.
//
// Setting one destroys the workspace's flows once it is read back; lifting one destroys them again first, and fails if it
// cannot, so that a lifted quarantine revives nothing.

import type { Flag } from '../backend.js'
import { nftablesFault } from './errors.js'
import { cutFlows } from './flows.js'
import { commentOf } from './lower.js'
import { listLinks, native } from './native.js'
import { elementsOf } from './readback.js'
import { TABLE } from './scaffold.js'
import { addElements, hookScript, linkScript, removeElements, scaffoldScript, TABLE_FAMILIES } from './script.js'
import { type Place, reasonOf, type Session } from './session.js'

/** Throws NFT_WORKSPACE, NFT_FLAG, NFT_READ_BACK, NFT_CUT. */
export async function setFlag(session: Session, workspace: string, flag: Flag, on: boolean): Promise<void> {
  const places = session.places(workspace)
  const addresses = places.flatMap((place) => place.addresses)
  if (on) session.flags[flag].add(workspace)
  else {
    await session.cutting
    await cutFlows(addresses, () => false)
    session.flags[flag].delete(workspace)
  }
  const elements = places.map((place) => `"${place.interface}"`)
  const script = TABLE_FAMILIES.map((family) =>
    on ? addElements(family, flag, elements) : removeElements(family, flag, elements),
  ).join('')
  try {
    // The tables may have been flushed away: then the fence is put back closed, every workspace attached and none alive, so
    // that the flag is in force at once and nothing else opens before the repair.
    await session.flagger.run(script).catch(() => session.flagger.run(closedScript(session, places) + script))
  } catch (error) {
    throw nftablesFault('NFT_FLAG', { workspace, flag, on, why: reasonOf(error) }, { cause: error })
  }
  for (const place of places) {
    const found = isFlagged(flag, place.interface)
    if (found !== on)
      throw nftablesFault('NFT_READ_BACK', { wanted: `${flag} ${on ? 'on' : 'off'}`, found: found ? 'on' : 'off' })
  }
  // The fence is closed already; what is destroyed here is only kept from coming back, and lifting does it again.
  if (on) session.cutting = session.cutting.then(() => cutFlows(addresses, () => false)).catch(() => undefined)
}

/** The whole fence with nobody alive behind it: whatever an attached interface says is refused. */
function closedScript(session: Session, places: readonly Place[]): string {
  const names = [...new Set([...(session.live?.workspaces ?? []), ...places].map((place) => place.interface))]
  const present = new Set(listLinks().map(({ name }) => name))
  const attached = names.map((name) => `"${name}"`)
  return (
    scaffoldScript(session.options.attachInterfaces) +
    addElements('inet', 'attached', attached) +
    addElements('arp', 'attached', attached) +
    hookScript() +
    names
      .filter((name) => present.has(name))
      .map(linkScript)
      .join('')
  )
}

/** Asked of the kernel by itself, because a listing would wait for every other listing. Throws NFT_READ. */
function isFlagged(flag: Flag, name: string): boolean {
  const key = new Uint8Array(16)
  key.set(new TextEncoder().encode(name))
  const there = native().elementHas(TABLE, flag, key, key.length)
  if (there < 0) throw nftablesFault('NFT_READ', { what: flag, why: `errno ${-there}` })
  return there === 1
}

export const readFlag = async (session: Session, flag: Flag): Promise<string[]> =>
  elementsOf(await session.reader.list(`list set inet ${TABLE} ${flag}`)).map(({ key }) => key)

interface Carried {
  readonly flag: Flag
  /** Interfaces where the flag must be, and where it must no longer be. */
  readonly wanted: readonly string[]
  readonly stale: readonly string[]
}

/**
 * A flag belongs to the workspace, not to the place where it is. The kernel's sets are the authority, because another
 * process may set or lift one at any time: what stands at a workspace's place before the change goes to its place after it.
 * What this process was told counts for workspaces without a place before, and when the sets themselves are gone.
 */
async function carried(
  session: Session,
  flag: Flag,
  before: readonly Place[],
  after: readonly Place[],
): Promise<Carried> {
  const names = await readFlag(session, flag).catch(() => undefined)
  const set = new Set(names)
  const isSet = ({ workspace }: Place): boolean => {
    const old = before.find((one) => one.workspace === workspace)
    return old && names ? set.has(old.interface) : session.flags[flag].has(workspace)
  }
  const wanted = after.filter(isSet).map((one) => one.interface)
  const stale = before.map((one) => one.interface).filter((name) => set.has(name) && !wanted.includes(name))
  return { flag, wanted: wanted.filter((name) => !set.has(name)), stale }
}

/** Before a switch: the flags that are set are there already when the workspaces come to these interfaces. Throws NFT_FLAG. */
export const raiseFlags = (session: Session, before: readonly Place[], after: readonly Place[]): Promise<void> =>
  carry(session, before, after, (one) => ({ ...one, stale: [] }))

/** After a switch, and after a repair. Throws NFT_FLAG. */
export const moveFlags = (session: Session, before: readonly Place[], after: readonly Place[]): Promise<void> =>
  carry(session, before, after, (one) => one)

async function carry(
  session: Session,
  before: readonly Place[],
  after: readonly Place[],
  part: (one: Carried) => Carried,
): Promise<void> {
  const quoted = (names: readonly string[]): string[] => names.map((name) => `"${name}"`)
  let script = ''
  for (const flag of ['quarantined', 'suspended'] as const) {
    const { wanted, stale } = part(await carried(session, flag, before, after))
    for (const family of TABLE_FAMILIES)
      script += addElements(family, flag, quoted(wanted)) + removeElements(family, flag, quoted(stale))
  }
  if (script === '') return
  try {
    await session.flagger.run(script)
  } catch (error) {
    const d = { workspace: 'moved workspaces', flag: 'the flags', on: true, why: reasonOf(error) }
    throw nftablesFault('NFT_FLAG', d, { cause: error })
  }
}

/**
 * Who is attached where, as the kernel has it. After a crash between a switch and its record the two differ, and a flag must
 * reach both. No table yet: nobody is.
 */
export async function adoptPlaces(session: Session): Promise<void> {
  const elements = await session.reader.list(`list set inet ${TABLE} attached`).then(elementsOf, () => [])
  session.found = elements.flatMap(({ key, comment }) => {
    const recorded = session.live?.workspaces.find((one) => commentOf(one.workspace) === comment)
    return comment === undefined
      ? []
      : [{ workspace: recorded?.workspace ?? comment, interface: key, addresses: recorded?.addresses ?? [] }]
  })
}

/** After a restart the kernel knows the flags, by interface. */
export async function adoptFlags(session: Session): Promise<void> {
  for (const flag of ['quarantined', 'suspended'] as const) {
    const names = await readFlag(session, flag).catch((): string[] => []) // no table yet: nothing is flagged
    for (const { workspace, interface: name } of session.live?.workspaces ?? [])
      if (names.includes(name)) session.flags[flag].add(workspace)
  }
}
