// Whether machines can start in their directory: QEMU runs as a user of its own there and makes its socket below it, so that every folder
// above must let it pass. A folder that keeps it out is said at the start of the companion, and not by the first machine.

import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { Fault } from '../base/fault.js'
import { lifecycleFault } from './lifecycle/errors.js'

/** Search permission for others (inode(7)). */
const PASS = 0o001

/** Makes the directory where it is missing. Throws COMPANION_PASSAGE. `umask`: what the folders of machines will lack. */
export function letPass(directory: string, umask = umaskOfProcess()): void {
  const refused = (folder: string, why: string, cause?: unknown): Error =>
    lifecycleFault('COMPANION_PASSAGE', { directory, folder, why }, cause === undefined ? {} : { cause })
  if ((umask & PASS) !== 0) throw refused(directory, `the umask ${octal(umask)} of the companion takes the right away`)
  try {
    mkdirSync(directory, { recursive: true, mode: 0o711 })
    for (let folder = directory; ; folder = dirname(folder)) {
      const mode = statSync(folder).mode & 0o7777
      if ((mode & PASS) === 0) throw refused(folder, `${folder} has the mode ${octal(mode)}`)
      if (folder === dirname(folder)) return
    }
  } catch (error) {
    throw error instanceof Fault ? error : refused(directory, 'the folders of that path cannot be made or seen', error)
  }
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0')

/** proc(5), where looking changes nothing; Node has it by a call that is deprecated. */
const umaskOfProcess = (): number =>
  Number.parseInt(/^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0', 8)
