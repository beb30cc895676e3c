// Where a volume lies, as the kernel's own tree of a file system has it: the device and inode of its root, and the entry that leads to it.
// The inode holds wherever the directory is moved or mounted; the name above it holds when another directory is put in its place.
//
// Refuses what could not be held: a link on the way, a file system whose inodes have the same number in several trees or that folds case, and a mount
// inside the volume, whose files are not below it.

import { readFileSync, realpathSync, statfsSync, statSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { overlapping } from '../../plan/volume-path.js'
import { kernelDevice } from '../tracing/devices.js'

export interface VolumePlace {
  readonly device: number
  /** Decimal text. */
  readonly inode: string
  /** The directory above, where it is of the same file system. */
  readonly above?: { readonly inode: string; readonly name: string }
  readonly mountId: number
  /** From the root of its file system, whatever of that is mounted where. */
  readonly within: string
}

interface Mount {
  readonly id: number
  readonly device: number
  readonly at: string
  /** What of its file system is mounted. */
  readonly root: string
}

/** Where two spellings are one file: msdos, exfat, ntfs, ntfs3, hfs, hfsplus, cifs, smb2, ecryptfs; those that may, by directory, are judged there. */
const FOLDING: readonly number[] = [
  ...[0x4d44, 0x2011bab0, 0x5346544e, 0x7366746e, 0x4244, 0x482b, 0xff534d42, 0xfe534d42, 0xf15f],
]
export const foldsCase = (type: number): boolean => FOLDING.includes(type >>> 0)

/** undefined with `why`: nothing can be held there. */
export function placeOf(source: string): VolumePlace | { readonly why: string } {
  try {
    if (realpathSync(source) !== source) return { why: 'a link leads there; name the directory itself' }
    const [root, above] = [statSync(source, { bigint: true }), statSync(dirname(source), { bigint: true })]
    if (!root.isDirectory()) return { why: 'it is no directory' }
    if (foldsCase(statfsSync(source).type)) return { why: 'its file system folds case, and rules tell spellings apart' }
    const mounts = mountsOf(readFileSync('/proc/self/mountinfo', 'utf8'))
    const under = mounts.filter(({ at }) => at === '/' || source === at || source.startsWith(`${at}/`))
    // Of mounts on one another the last is seen.
    const mount = under.reduce<Mount | undefined>(
      (best, one) => (one.at.length >= (best?.at.length ?? 0) ? one : best),
      undefined,
    )
    const device = kernelDevice(root.dev)
    if (!mount || mount.device !== device)
      return { why: 'its file system gives one number to files of several trees; use one that does not' }
    const inside = mounts.find(({ at }) => at.startsWith(`${source}/`))
    if (inside) return { why: `${inside.at} is mounted inside it, and what lies there is not below it` }
    const within = join(mount.root, relative(mount.at, source))
    return {
      ...{ device, inode: String(root.ino), mountId: mount.id, within },
      ...(kernelDevice(above.dev) === device && above.ino !== root.ino
        ? { above: { inode: String(above.ino), name: basename(source) } }
        : {}),
    }
  } catch (error) {
    return { why: String((error as NodeJS.ErrnoException).code ?? error) }
  }
}

/** Documentation/filesystems/proc.rst, section 3.5: `ID PARENT MAJOR:MINOR ROOT POINT ...`, with blanks as `\040`. */
export function mountsOf(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [id, , device = '', root, at] = line.split(' ')
    const [major, minor] = device.split(':').map(Number)
    if (root === undefined || at === undefined || major === undefined || minor === undefined) return []
    return [{ id: Number(id), device: ((major << 20) | minor) >>> 0, at: plain(at), root: plain(root) }]
  })
}

const plain = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Rows of both would be about one directory: one is the other, lies in it, or is what the other's name is looked up in. */
export const meet = (a: VolumePlace, b: VolumePlace): boolean =>
  a.device === b.device &&
  (overlapping(a.within, b.within) || a.inode === b.inode || a.above?.inode === b.inode || b.above?.inode === a.inode)

export const samePlace = (a: VolumePlace, b: VolumePlace): boolean =>
  a.device === b.device && a.inode === b.inode && a.above?.inode === b.above?.inode && a.above?.name === b.above?.name
