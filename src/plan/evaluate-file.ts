// The meaning of the storage half of a plan, and the oracle that every storage backend is judged by.
//
// Takes the volumes of a workspace, its standing, and one operation on one path; gives a verdict with its reason and clause.
// Allow-sets only, like the network's: rights of all rules at or above a path add up, `deny` at or above it is stronger than
// any of them, and whatever no rule speaks of is denied. A directory above something allowed may be seen, so that it can be
// walked through, and nothing else. What a rule names may not be moved, removed or replaced, nor may what lies above it: so
// no rename and no link ever changes what may be done with anything.

import { FILE_OPERATIONS, type FileOperation, type FileOperationRow } from './file-operations.js'
import type { FileRule, StorageSlice, VolumePlan } from './model.js'
import { isAtOrBelow, segmentsOf } from './volume-path.js'

/** Why something was denied; `src/native/vault/vault.h` has the same list in the same order. */
export const FILE_DENIALS = [
  'quarantined',
  'suspended',
  'no-volume',
  'bad-path',
  'never',
  'denied',
  'no-rule',
  'read-only',
  'anchored',
] as const
export type FileDenial = (typeof FILE_DENIALS)[number]

export interface FileRequest {
  readonly volume: string
  readonly operation: FileOperation
  /** untrusted: from the volume's root. */
  readonly path: string
}

/** Flags of the workspace, and whether the plan's deadline has passed. */
export interface FileStanding {
  readonly quarantined: boolean
  readonly suspended: boolean
}

export type FileVerdict =
  | { readonly kind: 'allow'; readonly clause: string | undefined }
  | {
      readonly kind: 'deny'
      readonly reason: FileDenial
      /** What the caller sees: EROFS for a change of what may be read, EACCES for everything else. */
      readonly error: 'EACCES' | 'EROFS'
      readonly clause: string | undefined
    }

export function evaluateFile(
  slice: StorageSlice | undefined,
  standing: FileStanding,
  { volume, operation, path }: FileRequest,
): FileVerdict {
  if (standing.quarantined) return deny('quarantined')
  if (standing.suspended) return deny('suspended')
  const at = slice?.volumes.find(({ name }) => name === volume)
  if (!at) return deny('no-volume')
  if (segmentsOf(path) === undefined) return deny('bad-path')
  const row: FileOperationRow = FILE_OPERATIONS[operation]
  if (row.need === 'never') return deny('never')
  const denied = ruleFor(at, 'deny', path)
  if (denied) return deny('denied', denied)
  const write = ruleFor(at, 'read-write', path)
  const read = write ?? ruleFor(at, 'read-only', path)
  if (!read) return row.need === 'see' && leads(at, path) ? { kind: 'allow', clause: undefined } : deny('no-rule')
  if (row.need !== 'write') return { kind: 'allow', clause: read.clauses[0] }
  if (!write) return deny('read-only', read)
  if (row.moves && at.rules.some((rule) => isAtOrBelow(rule.path, path))) return deny('anchored', write)
  return { kind: 'allow', clause: write.clauses[0] }
}

const deny = (reason: FileDenial, rule?: FileRule): FileVerdict => ({
  kind: 'deny',
  reason,
  error: reason === 'read-only' ? 'EROFS' : 'EACCES',
  clause: rule?.clauses[0],
})

/** The rule of that access nearest to the path, which a verdict names. */
function ruleFor(at: VolumePlan, access: FileRule['access'], path: string): FileRule | undefined {
  let nearest: FileRule | undefined
  for (const rule of at.rules)
    if (rule.access === access && isAtOrBelow(path, rule.path) && rule.path.length >= (nearest?.path.length ?? 0))
      nearest = rule
  return nearest
}

/** Does something that may be read lie below this path? */
const leads = (at: VolumePlan, path: string): boolean =>
  at.rules.some((rule) => rule.access !== 'deny' && isAtOrBelow(rule.path, path) && !ruleFor(at, 'deny', rule.path))
