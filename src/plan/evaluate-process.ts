// The meaning of the process half of a plan for one start of a program, and the oracle that every process backend is judged by.
//
// Takes the slice of a workspace, its standing, and what is about to run; gives a verdict with its reason and clause. A program is
// the file that the kernel maps, whatever name it was called by: what a clause allows is judged at the end of every link. Where a
// clause lists executables, what is not listed is denied; a listed path without a digest is allowed whatever its content.

import type { Digest } from '../base/digest.js'
import type { ClauseId } from '../policy/model.js'
import type { FileStanding } from './evaluate-file.js'
import type { ProcessSlice } from './model.js'

/** Why a start was denied; in the order in which they are asked. */
export const EXEC_DENIALS = [
  'quarantined',
  'suspended',
  'memory-only',
  'user',
  'unlisted',
  'digest',
  'digest-unknown',
] as const
export type ExecDenial = (typeof EXEC_DENIALS)[number]

export interface ExecRequest {
  /** Absolute, with every link followed. untrusted: the workspace chose it. */
  readonly path: string
  /** Of the content; absent where nobody looked. */
  readonly digest?: Digest
  /** There is no file: it was made in memory, or its last name is gone. */
  readonly memoryOnly: boolean
  /** As whom it runs; absent where nobody saw. */
  readonly uid?: number
}

export type ExecVerdict =
  | { readonly kind: 'allow'; readonly clause: ClauseId | undefined }
  | { readonly kind: 'deny'; readonly reason: ExecDenial; readonly clause: ClauseId | undefined }

export function evaluateProcess(
  slice: ProcessSlice | undefined,
  standing: FileStanding,
  { path, digest, memoryOnly, uid }: ExecRequest,
): ExecVerdict {
  const deny = (reason: ExecDenial, clause?: ClauseId): ExecVerdict => ({ kind: 'deny', reason, clause })
  if (standing.quarantined) return deny('quarantined')
  if (standing.suspended) return deny('suspended')
  const { exec, users, activities } = slice ?? {}
  if (memoryOnly) {
    if (exec) return deny('memory-only', exec.clause)
    if (activities?.kinds.includes('memory-only')) return deny('memory-only', activities.clause)
  }
  if (users && uid !== undefined && !users.uids.includes(uid)) return deny('user', users.clause)
  if (!exec) return { kind: 'allow', clause: undefined }
  const named = exec.allow.filter((one) => one.path === path)
  if (named.length === 0) return deny('unlisted', exec.clause)
  if (named.some((one) => one.digest === undefined || one.digest === digest))
    return { kind: 'allow', clause: exec.clause }
  return deny(digest === undefined ? 'digest-unknown' : 'digest', exec.clause)
}
