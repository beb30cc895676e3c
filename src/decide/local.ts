// Files and processes: the two halves of a policy that are about the inside of a workspace. Files of a volume are judged by the
// meaning of the plan (plan/evaluate-file.ts); the workspace's own by `filesystem_policy`, whose rights add up as Landlock's do;
// what may run by the FencePolicy's `allow_exec`; as whom by the SandboxPolicy's `process`.

import { evaluateFile } from '../plan/evaluate-file.js'
import { FILE_OPERATIONS, type FileOperationRow } from '../plan/file-operations.js'
import { isAtOrBelow, isVolumePath } from '../plan/volume-path.js'
import {
  type Asking,
  allowed,
  type Decision,
  denied,
  type ExecAction,
  type FileAction,
  type Obligation,
  type RunAsAction,
} from './model.js'
import type { WorkspaceProgram } from './program.js'

export function decideFile(program: WorkspaceProgram, asking: Asking, action: FileAction): Decision {
  const row: FileOperationRow = FILE_OPERATIONS[action.operation]
  const obligations: readonly Obligation[] =
    row.need === 'write' && program.review.has('files') ? [{ kind: 'review', of: 'files' }] : []
  if (action.volume === undefined) return ownFile(program, action.path, row, obligations)
  const verdict = evaluateFile(program.storage, asking, { ...action, volume: action.volume })
  const at = verdict.clause === undefined ? undefined : { clause: verdict.clause, place: `volume ${action.volume}` }
  return verdict.kind === 'allow' ? allowed('file', at, obligations) : denied(verdict.reason, at)
}

function ownFile(
  { filesystem, filesystemAt }: WorkspaceProgram,
  path: string,
  row: FileOperationRow,
  obligations: readonly Obligation[],
): Decision {
  if (!isVolumePath(path)) return denied('bad-path', filesystemAt)
  if (row.need === 'never') return denied('never', filesystemAt)
  if (!filesystem) return denied('no-rule')
  const { of: section, workdir } = filesystem
  // Without the section the working directory is open, with it only where it says so (sheet section 2).
  const own = workdir !== undefined && (section?.includeWorkdir ?? true) ? [workdir] : []
  const covers = (paths: readonly string[]): boolean => paths.some((above) => isAtOrBelow(path, trimmed(above)))
  if (covers([...(section?.readWrite ?? []), ...own])) return allowed('file', filesystemAt, obligations)
  if (!covers(section?.readOnly ?? [])) return denied('no-rule', filesystemAt)
  return row.need === 'write' ? denied('read-only', filesystemAt) : allowed('file', filesystemAt)
}

/** `/usr/` is `/usr`. */
const trimmed = (path: string): string => path.replace(/(?!^)\/+$/, '')

export function decideExec({ processes }: WorkspaceProgram, { path, digest }: ExecAction): Decision {
  let unpinned: Decision | undefined
  for (const clause of processes) {
    if (clause.rule !== 'exec') continue
    const at = { clause: clause.id, place: `${clause.origin.file} ${clause.origin.path}` }
    for (const value of clause.values) {
      const [allowedPath, pin] = value.split('@')
      if (allowedPath !== path) continue
      if (pin === undefined || pin === digest) return allowed('exec', at)
      unpinned = denied('digest', at)
    }
    unpinned ??= denied('no-rule', at)
  }
  return unpinned ?? denied('no-rule')
}

/** Never, whatever a policy says (sheet section 2). */
const ROOTS: ReadonlySet<string> = new Set(['root', 'nobody', '0', '4294967295'])

export function decideRunAs({ processes }: WorkspaceProgram, { user, group }: RunAsAction): Decision {
  if (user === undefined && group === undefined) return denied('malformed')
  if (user !== undefined && ROOTS.has(user)) return denied('user-denied')
  if (group !== undefined && ROOTS.has(group)) return denied('group-denied')
  for (const clause of processes) {
    if (clause.rule !== 'user') continue
    const at = { clause: clause.id, place: `${clause.origin.file} ${clause.origin.path}` }
    if (user !== undefined && !clause.values.includes(`user:${user}`)) return denied('user-denied', at)
    if (group !== undefined && !clause.values.includes(`group:${group}`)) return denied('group-denied', at)
    return allowed('user', at)
  }
  return denied('no-rule')
}
