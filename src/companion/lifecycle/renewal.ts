// Which workspaces are due for a fresh layer because of the age of their image (`max_image_age` of companion.yaml). Pure: records and the
// list of images in, what is to be rebaked out. A rebake needs an image that is fresh itself: without one a machine that runs goes on, and
// it is said what it waits for, because ending it would leave its user with nothing and make no image newer.

import type { Profile } from './profile.js'
import type { WorkspaceRecord } from './record.js'

/** What the signed list says now. */
export interface Shelf {
  /** `name@version`, and when it was built, in milliseconds since 1970. */
  readonly builtAtMs: ReadonlyMap<string, number>
  /** By name, and by name and profile (`shelfKey`): the newest version that is valid, `name@version`. */
  readonly newest: ReadonlyMap<string, string>
}

/** No name has a blank in it. */
export const shelfKey = (name: string, profile?: string): string =>
  profile === undefined ? name : `${name} ${profile}`

export interface Due {
  readonly workspace: string
  /** `name@version` of what it would get; absent: there is none that is fresh. */
  readonly to?: string
  readonly why: string
}

/** Sorted by workspace. One that was revoked or killed, or has something under way or owed, is not due. */
export function dueOf(
  records: readonly WorkspaceRecord[],
  shelf: Shelf,
  {
    nowMs,
    maxAgeMs,
    takes = () => undefined,
  }: {
    readonly nowMs: number
    readonly maxAgeMs: number
    /** The profile of images that its network takes; undefined: any. */
    readonly takes?: (profile: Profile) => string | undefined
  },
): readonly Due[] {
  const tooOld = (image: string): string | undefined => {
    const builtAtMs = shelf.builtAtMs.get(image)
    if (builtAtMs === undefined) return `${image} is not in the list of images any more`
    if (nowMs - builtAtMs <= maxAgeMs) return undefined
    return `${image} was built at ${new Date(builtAtMs).toISOString()}, longer ago than max_image_age`
  }
  return [...records]
    .sort((a, b) => (a.workspace < b.workspace ? -1 : 1))
    .flatMap(({ workspace, profile, state, image, doing, owed }) => {
      if (!profile || image === '' || doing || owed.length > 0) return []
      if (state !== 'running' && state !== 'stopped') return []
      const why = tooOld(image)
      if (why === undefined) return []
      const newest = shelf.newest.get(shelfKey(profile.image, takes(profile)))
      const isFresh = newest !== undefined && newest !== image && tooOld(newest) === undefined
      return [{ workspace, why, ...(isFresh ? { to: newest } : {}) }]
    })
}
