// One record against the process slice of its workspace: nothing, or what it is suspected of, by which clause, what is to be done
// and, where it is plain, the ATT&CK technique. What may run is judged by evaluateProcess and nowhere else.

import { type ExecDenial, evaluateProcess } from '../plan/evaluate-process.js'
import type { ProcessSlice } from '../plan/model.js'
import type { ClauseId, Reaction, SuspectActivity } from '../policy/model.js'
import { type ActivityRecord, isMemoryOnly, isShell } from './activity.js'

export interface Suspicion {
  readonly kind: ExecDenial | SuspectActivity
  readonly clause: ClauseId
  readonly reaction: Reaction
}

/** Flags of a workspace stop its traffic and are no news about its programs. */
const STANDING = { quarantined: false, suspended: false }

export function judgeActivity(slice: ProcessSlice | undefined, record: ActivityRecord): Suspicion | undefined {
  if (!slice) return undefined
  const { process, activity, refused } = record
  const path = process?.path ?? ''
  const suspected = (kind: SuspectActivity): Suspicion | undefined =>
    slice.activities?.kinds.includes(kind)
      ? { kind, clause: slice.activities.clause, reaction: slice.activities.reaction }
      : undefined
  switch (activity) {
    case 'reverse-shell':
      return suspected('reverse-shell')
    case 'shell-history-disabled':
    case 'shell-history-cleared':
      return suspected('shell-history')
    case 'process-started':
      // Refused for what the workspace is, and not for what it ran: that is no reason to react to it once more.
      if (refused === 'quarantined' || refused === 'suspended')
        return slice.exec && { kind: refused, clause: slice.exec.clause, reaction: 'observe' }
      return (
        (record.remote && isShell(path) ? suspected('reverse-shell') : undefined) ??
        started(slice, record, path) ??
        (isShell(path) && !slice.exec?.allow.some((one) => one.path === path) ? suspected('shell') : undefined)
      )
    default:
      return undefined
  }
}

function started(slice: ProcessSlice, { process, refused }: ActivityRecord, path: string): Suspicion | undefined {
  // Without a path nobody knows what ran, and a clause about paths says nothing about it.
  if (!process || path === '') return undefined
  const { digest, uid } = process
  const request = {
    path,
    memoryOnly: isMemoryOnly(path),
    ...(digest === undefined ? {} : { digest }),
    ...(uid === undefined ? {} : { uid }),
  }
  const verdict = evaluateProcess(slice, STANDING, request)
  // What was refused was another file under that path, or other content in it: the kernel knows files, and a record has names.
  if (verdict.kind === 'allow' && refused !== undefined && slice.exec)
    return { kind: 'unlisted', clause: slice.exec.clause, reaction: slice.exec.reaction }
  if (verdict.kind === 'allow' || verdict.clause === undefined) return undefined
  const { reason, clause } = verdict
  if (reason === 'user') return { kind: reason, clause, reaction: 'observe' }
  const asked = clause === slice.exec?.clause ? slice.exec.reaction : (slice.activities?.reaction ?? 'observe')
  // Nobody looked at the content, or it never ran: a reason to tell, not to cut somebody off.
  const mild = reason === 'digest-unknown' && refused === undefined
  return { kind: reason, clause, reaction: mild ? 'observe' : asked }
}

export interface AttackTechnique {
  readonly tactic: { readonly uid: string; readonly name: string }
  readonly technique: { readonly uid: string; readonly name: string }
  readonly subTechnique?: { readonly uid: string; readonly name: string }
}

const EXECUTION = { uid: 'TA0002', name: 'Execution' }
const EVASION = { uid: 'TA0005', name: 'Defense Evasion' }
const SHELL: AttackTechnique = {
  tactic: EXECUTION,
  technique: { uid: 'T1059', name: 'Command and Scripting Interpreter' },
  subTechnique: { uid: 'T1059.004', name: 'Unix Shell' },
}

export interface SuspicionText {
  readonly title: string
  readonly severity: 'low' | 'medium' | 'high'
  readonly confidence: 'low' | 'medium' | 'high'
  readonly remedy: string
  readonly technique?: AttackTechnique
}

/** What is said of each suspicion; a row a kind. */
export const SUSPICIONS = {
  'memory-only': {
    title: 'A program ran that has no file',
    severity: 'high',
    confidence: 'high',
    remedy: 'Keep the workspace quarantined, and find out what wrote the program and where it came from.',
    technique: { tactic: EVASION, technique: { uid: 'T1620', name: 'Reflective Code Loading' } },
  },
  'reverse-shell': {
    title: 'A shell talks to somebody over the network',
    severity: 'high',
    confidence: 'high',
    remedy: 'Keep the workspace quarantined, look at what was done through the shell, and at how it came to run.',
    technique: SHELL,
  },
  shell: {
    title: 'A shell ran that the policy does not list',
    severity: 'medium',
    confidence: 'medium',
    remedy: 'Look at who started it. A shell that the workspace needs goes into allow_exec.',
    technique: SHELL,
  },
  'shell-history': {
    title: 'The history of a shell was switched off or cleared',
    severity: 'medium',
    confidence: 'medium',
    remedy: 'Look at what the same user ran before, in the events of this workspace.',
    technique: {
      tactic: EVASION,
      technique: { uid: 'T1070', name: 'Indicator Removal' },
      subTechnique: { uid: 'T1070.003', name: 'Clear Command History' },
    },
  },
  unlisted: {
    title: 'A program ran, or was to run, that the policy does not list',
    severity: 'medium',
    confidence: 'high',
    remedy: 'What the workspace needs goes into allow_exec; for anything else find out who started it.',
  },
  digest: {
    title: 'A listed program has other content than the policy says',
    severity: 'high',
    confidence: 'high',
    remedy: 'If the program was updated, sign a policy with its new digest; if not, keep the workspace quarantined.',
    technique: {
      tactic: { uid: 'TA0003', name: 'Persistence' },
      technique: { uid: 'T1554', name: 'Compromise Host Software Binary' },
    },
  },
  'digest-unknown': {
    title: 'Nobody could look at the content of a listed program',
    severity: 'low',
    confidence: 'low',
    remedy: 'See why the sensor gives no digest of this file.',
  },
  user: {
    title: 'A program ran as a user that the policy does not name',
    severity: 'medium',
    confidence: 'high',
    remedy: 'Look at how the program came to another user, and mend run_as_user if it is right.',
  },
  quarantined: {
    title: 'A program was to run in a quarantined workspace',
    severity: 'low',
    confidence: 'high',
    remedy: 'Nothing: it did not run.',
  },
  suspended: {
    title: 'A program was to run in a suspended workspace',
    severity: 'low',
    confidence: 'high',
    remedy: 'Nothing: it did not run. The workspace is attached again, or its bundle renewed, when it may.',
  },
} as const satisfies Readonly<Record<Suspicion['kind'], SuspicionText>>
