// Flags: quarantined and suspended, as sets of interfaces beside the generations and stronger than all of them. In one small
// transaction over the three tables, straight to the kernel, so that a flag never waits behind a load.
//
// A flag belongs to the workspace: the set `flagged` holds it by name, whether the workspace is attached or not, and a commit
// puts it in force wherever the workspace appears. Setting one destroys the workspace's flows once it is read back and answered; lifting one
// destroys them again first, and fails if it cannot, so that a lifted quarantine revives nothing.

import { setImmediate as afterAnswer } from 'node:timers/promises'
import { digestOfText } from '../../base/digest.js'
import { formatIp } from '../../base/ip.js'
import type { Cut, Flag } from '../backend.js'
import { nftablesFault } from './errors.js'
import { cutFlows } from './flows.js'
import { addressKey, applyElements, type KernelElement, nameKey } from './kernel-set.js'
import { commentOf } from './lower.js'
import { listLinks } from './native.js'
import { elementsOf } from './readback.js'
import { TABLE } from './scaffold.js'
import { addElements, FLAG_FAMILIES, hookScript, linkScript, scaffoldScript } from './script.js'
import { type Place, reasonOf, type Session } from './session.js'
import { isStanding, readPlaces } from './standing.js'

/** A workspace that is nowhere yet is flagged by name, and fenced when it appears. Throws NFT_FLAG, NFT_READ_BACK, NFT_CUT. */
export async function setFlag(session: Session, workspace: string, flag: Flag, on: boolean): Promise<void> {
  const key = `${flag} ${workspace}`
  const order = ++session.orders
  session.ordered.set(key, order)
  // The last word counts: what was asked before and is still at it gives way.
  const stands = (): boolean => session.ordered.get(key) === order
  await flagPlaces(session, workspace, flag, on, stands)
  if (!session.live || isStanding(session.live.generation, session.line)) return
  // Another process has switched since this one looked: the workspace may be somewhere else by now.
  session.found = await readPlaces(session)
  if (stands()) await flagPlaces(session, workspace, flag, on, stands)
}

async function flagPlaces(
  session: Session,
  workspace: string,
  flag: Flag,
  on: boolean,
  stands: () => boolean,
): Promise<void> {
  const places = session.places(workspace)
  const addresses = places.flatMap((place) => place.addresses)
  if (on) session.flags[flag].add(workspace)
  else {
    await session.cutting
    await cutFlows(addresses, () => false)
    if (!stands()) return
    session.flags[flag].delete(workspace)
  }
  const elements = [nameElement(flag, workspace, on), ...placeElements(flag, places, on)]
  try {
    // The tables may have been flushed away, or not be there yet: then the fence is put back closed, every workspace attached and none alive, so
    // that nothing opens before the repair, and the flag comes at once.
    await session.flagLane.run(async () => {
      // A later order may have gone by while this one waited.
      if (!stands()) return
      try {
        session.line.apply(elements)
      } catch {
        // Nowhere attached and perhaps no table yet: a flag that nothing holds is lifted, and the read-back below says so.
        if (!on && places.length === 0) return
        await session.flagger.run(closedScript(session, places))
        session.line.apply(elements)
      }
    })
  } catch (error) {
    throw nftablesFault('NFT_FLAG', { workspace, flag, on, why: reasonOf(error) }, { cause: error })
  }
  if (!stands()) return
  const read = [isNamed(session, flag, workspace), ...places.map((place) => isFlagged(session, flag, place.interface))]
  for (const found of read) {
    if (found !== on)
      throw nftablesFault('NFT_READ_BACK', { wanted: `${flag} ${on ? 'on' : 'off'}`, found: found ? 'on' : 'off' })
  }
  // The fence is closed already; what is destroyed here is only kept from coming back, and lifting does it again. It takes tens of
  // milliseconds of a processor, which are not taken from whoever waits to hear of the fence.
  if (!on) return
  const cutting = session.cutting.then(() => afterAnswer()).then(() => cutFlows(addresses, () => false))
  if (flag === 'quarantined') session.cuts.set(workspace, cutting.then(counted, uncounted))
  session.cutting = cutting.catch(() => undefined)
}

/** conntrack keeps until when an entry would live, which is not when it was last seen. */
const NO_TIME = { unknown: 'conntrack keeps no time of the last packet' }
const counted = (flows: number): Cut => ({ flows, lastPacketAtMs: NO_TIME })
const uncounted = (error: unknown): Cut => ({ flows: { unknown: reasonOf(error) }, lastPacketAtMs: NO_TIME })

/** What the last quarantine of the workspace by this process cut. */
export const cutOf = (session: Session, workspace: string): Promise<Cut> =>
  session.cuts.get(workspace) ?? Promise.resolve(uncounted('this process set no flag'))

/** A flag at places: by interface in every table that holds flags, by address where routing has not been asked yet. */
const placeElements = (flag: Flag, places: readonly Place[], on: boolean): KernelElement[] =>
  places.flatMap(({ interface: name, addresses }) => [
    ...FLAG_FAMILIES.map((family) => ({ family, set: flag, key: nameKey(name), remove: !on })),
    ...addresses.map((address) => ({
      ...{ family: 'inet' as const, set: `${flag}${address.includes(':') ? 6 : 4}` },
      ...{ key: addressKey(address), remove: !on },
    })),
  ])

/** By name, whether it is attached or not. */
const nameElement = (flag: Flag, workspace: string, on: boolean): KernelElement => ({
  ...{ family: 'inet', set: 'flagged', key: addressKey(flagKey(flag, workspace)) },
  ...{ comment: commentOf(`${flag} ${workspace}`), remove: !on },
})

/** The whole fence with nobody alive behind it: whatever an attached interface says is refused. */
export function closedScript(session: Session, places: readonly Place[]): string {
  const names = [...new Set([...(session.live?.workspaces ?? []), ...places].map((place) => place.interface))]
  const present = new Set(listLinks().map(({ name }) => name))
  const attached = names.map((name) => `"${name}"`)
  return (
    scaffoldScript(session.options.attachInterfaces) +
    addElements('inet', 'attached', attached) +
    addElements('arp', 'attached', attached) +
    addElements('bridge', 'attached', attached) +
    hookScript() +
    names
      .filter((name) => present.has(name))
      .map(linkScript)
      .join('')
  )
}

/** Asked of the kernel by itself, because a listing would wait for every other listing. Throws NFT_READ. */
const isFlagged = ({ line }: Session, flag: Flag, name: string): boolean => line.has(flag, nameKey(name))

/** The first 128 bits of a digest of flag and workspace: a name of any length, found by hash. */
const flagKey = (flag: Flag, workspace: string): string => {
  const digits = digestOfText(`${flag} ${workspace}`).slice('sha256:'.length, 'sha256:'.length + 32)
  return formatIp({ family: 6, value: BigInt(`0x${digits}`) })
}

const isNamed = ({ line }: Session, flag: Flag, workspace: string): boolean =>
  line.has('flagged', addressKey(flagKey(flag, workspace)))

export const readFlag = async (session: Session, flag: Flag): Promise<string[]> =>
  elementsOf(await session.reader.list(`list set inet ${TABLE} ${flag}`)).map(({ key }) => key)

interface Carried {
  readonly flag: Flag
  /** Where the flag must be, and where it must no longer be. */
  readonly wanted: readonly Place[]
  readonly stale: readonly Place[]
}

/**
 * The kernel's sets are the authority, because another process may set or lift a flag at any time: what is flagged by name, or
 * stands at a workspace's place before the change, goes to its place after it. What this process was told counts when the sets
 * themselves are gone.
 *
 * The listing is slow and may be old by the time it is used: `now` asks the kernel again, only about what the listing found.
 */
async function carried(
  session: Session,
  flag: Flag,
  before: readonly Place[],
  after: readonly Place[],
): Promise<{ readonly now: () => Carried }> {
  const list = (set: string): Promise<string[]> =>
    session.reader.list(`list set inet ${TABLE} ${set}`).then((objects) => elementsOf(objects).map(({ key }) => key))
  const [names, byName] = await Promise.all([list(flag), list('flagged')]).catch(() => [undefined, undefined])
  const set = new Set(names)
  const named = new Set(byName)
  const placeBefore = ({ workspace }: Place): Place | undefined => before.find((one) => one.workspace === workspace)
  const isSet = (place: Place): boolean => {
    if (!names) return session.flags[flag].has(place.workspace)
    const old = placeBefore(place)
    return named.has(flagKey(flag, place.workspace)) || (old !== undefined && set.has(old.interface))
  }
  const isStillSet = (place: Place): boolean => {
    if (!names) return isSet(place)
    const old = placeBefore(place)
    return isNamed(session, flag, place.workspace) || (old !== undefined && isFlagged(session, flag, old.interface))
  }
  const listed = after.filter(isSet)
  const seen = before.filter((one) => set.has(one.interface))
  const now = (): Carried => {
    const wanted = listed.filter(isStillSet)
    // Addresses may have moved although the interface did not: what is there is put there again. An interface whose workspace
    // was flagged since the listing is not stale.
    const held = (name: string): boolean =>
      wanted.some((one) => one.interface === name) ||
      after.some((one) => one.interface === name && isNamed(session, flag, one.workspace))
    return { flag, wanted, stale: seen.filter((one) => !held(one.interface)) }
  }
  return { now }
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
  const flags = await Promise.all(
    (['quarantined', 'suspended'] as const).map((flag) => carried(session, flag, before, after)),
  )
  try {
    await session.flagLane.run(async () => {
      const found = flags.map(({ now }) => part(now()))
      await applyElements(
        found.flatMap(({ flag, wanted, stale }) => [
          ...placeElements(flag, stale, false),
          ...placeElements(flag, wanted, true),
        ]),
      )
      // Another process has no part in the lane: what it flagged by name between the look and the change is put back.
      await applyElements(
        found.flatMap(({ flag, stale }) =>
          after
            .filter(
              (one) => stale.some((old) => old.interface === one.interface) && isNamed(session, flag, one.workspace),
            )
            .flatMap((one) => placeElements(flag, [one], true)),
        ),
      )
    })
  } catch (error) {
    const d = { workspace: 'moved workspaces', flag: 'the flags', on: true, why: reasonOf(error) }
    throw nftablesFault('NFT_FLAG', d, { cause: error })
  }
}

/** After a restart the kernel knows the flags, by interface. */
export async function adoptFlags(session: Session): Promise<void> {
  for (const flag of ['quarantined', 'suspended'] as const) {
    const names = await readFlag(session, flag).catch((): string[] => []) // no table yet: nothing is flagged
    for (const { workspace, interface: name } of session.live?.workspaces ?? session.found)
      if (names.includes(name)) session.flags[flag].add(workspace)
  }
}
