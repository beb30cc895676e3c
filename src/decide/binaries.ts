// Who may use a rule of the SandboxPolicy (sheet section 6, row `binary path`): the program itself or one of those that started
// it, by exact path or by glob. Paths are what the kernel resolved; argv never counts. No list matches nobody (section 7).

import { opaGlob } from './glob.js'

export type BinaryMatch = (executable: string | undefined, ancestors: readonly string[] | undefined) => boolean

export function compileBinaries(binaries: readonly string[]): BinaryMatch {
  // A path without `*` is compared as text, whatever else stands in it.
  const plain = binaries.filter((path) => !path.includes('*'))
  const exact = new Set(plain)
  const globs = binaries.filter((path) => path.includes('*')).map((path) => opaGlob(path, '/').matches)
  const [only] = plain
  // Most rules name one program.
  const one =
    only !== undefined && binaries.length === 1
      ? (path: string): boolean => path === only
      : (path: string): boolean => exact.has(path) || globs.some((matches) => matches(path))
  return (executable, ancestors) => {
    if (executable === undefined) return false
    if (one(executable)) return true
    if (ancestors) for (const path of ancestors) if (one(path)) return true
    return false
  }
}
