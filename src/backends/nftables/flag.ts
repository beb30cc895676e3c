// Flags: quarantined and suspended, as sets of interfaces beside the generations and stronger than all of them. On a libnftables
// context of their own, in one small transaction over the three tables, so that a flag never waits behind a load.
//
// Setting one destroys the workspace's flows once it is read back; lifting one destroys them again first, and fails if it
// cannot, so that a lifted quarantine revives nothing.

import type { Flag } from '../backend.js'
import { nftablesFault } from './errors.js'
import { cutFlows } from './flows.js'
import { native } from './native.js'
import { elementsOf } from './readback.js'
import type { WorkspaceRecord } from './record.js'
import { TABLE } from './scaffold.js'
import { addElements, flagScript, removeElements, TABLE_FAMILIES } from './script.js'
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
    // The tables may have been flushed away: they are made again without hooks, and the flag waits in them for the repair.
    await session.flagger.run(script).catch(() => session.flagger.run(flagScript() + script))
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

/** Before a switch: the flags that are set are there already when the workspaces come to these interfaces. Throws NFT_FLAG. */
export async function raiseFlags(session: Session, next: readonly Place[]): Promise<void> {
  for (const flag of ['quarantined', 'suspended'] as const)
    for (const { workspace } of next)
      if (session.flags[flag].has(workspace)) await setFlag(session, workspace, flag, true)
}

/** A flag belongs to the workspace, not to the place where it was: after a move, and after a repair, it is set where it is now. */
export async function moveFlags(
  session: Session,
  before: readonly WorkspaceRecord[],
  after: readonly Pick<WorkspaceRecord, 'workspace' | 'interface'>[],
): Promise<void> {
  let script = ''
  for (const flag of ['quarantined', 'suspended'] as const) {
    const wanted = after.filter(({ workspace }) => session.flags[flag].has(workspace)).map((one) => one.interface)
    const stale = before.map((one) => one.interface).filter((name) => !wanted.includes(name))
    const set = new Set(await readFlag(session, flag))
    for (const family of TABLE_FAMILIES) {
      script += addElements(
        family,
        flag,
        wanted.filter((name) => !set.has(name)).map((name) => `"${name}"`),
      )
      script += removeElements(
        family,
        flag,
        stale.filter((name) => set.has(name)).map((name) => `"${name}"`),
      )
    }
  }
  if (script === '') return
  try {
    await session.flagger.run(script)
  } catch (error) {
    throw nftablesFault(
      'NFT_FLAG',
      { workspace: 'moved workspaces', flag: 'the flags', on: true, why: reasonOf(error) },
      { cause: error },
    )
  }
}

/** After a restart the kernel knows the flags, by interface. */
export async function adoptFlags(session: Session): Promise<void> {
  for (const flag of ['quarantined', 'suspended'] as const) {
    const names = await readFlag(session, flag).catch((): string[] => []) // no table yet: nothing is flagged
    for (const { workspace, interface: name } of session.live?.workspaces ?? [])
      if (names.includes(name)) session.flags[flag].add(workspace)
  }
}
