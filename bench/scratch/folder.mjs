// A folder for what a file of bench/ writes: there until it is removed, and no longer than the process, also where that is told to end
// in the middle (scripts/bench.mjs makes an exit of a signal, and `finally` is not reached then).

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export function scratchFolder() {
  const path = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const remove = () => {
    process.off('exit', remove)
    rmSync(path, { recursive: true, force: true })
  }
  process.once('exit', remove)
  return { path, remove }
}
