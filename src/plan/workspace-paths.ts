// Which part of a volume a path of the workspace's own file system speaks of. OpenShell's `filesystem_policy` names paths as the
// workspace sees them; the signed inventory says where in there a volume appears (`at`). What lies on a volume can be held from
// outside, and everything else is the runtime's. A path is compared as it is written: one that leads to a volume by a link
// inside the workspace is not taken for the volume's, so that nobody inside decides what a clause means.

import type { Volume } from './inventory.js'
import { isAtOrBelow, isVolumePath, segmentsOf } from './volume-path.js'

/** A volume, and the path from its root that is meant. */
export interface OnVolume {
  readonly volume: Volume
  readonly path: string
}

export interface Covered {
  /** Sorted by volume, as the volumes are. */
  readonly on: readonly OnVolume[]
  /** True: some of what the path covers lies on no volume. */
  readonly outside: boolean
}

/** `//a/./b/` is `/a/b`: a kernel takes both for the same. `path` is absolute and has no `..` (policy/sandbox-policy). */
const spelled = (path: string): string =>
  `/${path
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.')
    .join('/')}`

/** What a clause about `path` and everything below it says about these volumes, none of which lies in another. */
export function coveredBy(path: string, volumes: readonly Volume[]): Covered {
  const plain = spelled(path)
  if (!isVolumePath(plain)) return { on: [], outside: true }
  const on = volumes.flatMap((volume): OnVolume[] => {
    if (volume.at === undefined) return []
    if (isAtOrBelow(plain, volume.at)) return [{ volume, path: below(plain, volume.at) }]
    return isAtOrBelow(volume.at, plain) ? [{ volume, path: '/' }] : []
  })
  const within = on.some(({ volume }) => volume.at !== undefined && isAtOrBelow(plain, volume.at))
  return { on, outside: !within }
}

const below = (path: string, above: string): string =>
  `/${(segmentsOf(path) ?? []).slice(segmentsOf(above)?.length ?? 0).join('/')}`
