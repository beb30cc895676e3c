// File System Activity (1001) for what a storage backend refused. untrusted: the path, which the workspace chose.

import type { FactOf } from '../fact.js'
import { bundleNumbers, bundlePolicy, unmapped, workspaceDevice } from './attributes.js'
import { CLASS, type Draft, present, SEVERITY, whole, words } from './event.js'

/** Activities of the class by operation; what is not here is `Other`, under its own name. */
const ACTIVITY: ReadonlyMap<string, number> = new Map([
  ['create', 1],
  ['mkdir', 1],
  ['mknod', 1],
  ['symlink', 1],
  ['link-to', 1],
  ['make-device', 1],
  ['read', 2],
  ['readlink', 2],
  ['list', 2],
  ['open-write', 3],
  ['write', 3],
  ['fallocate', 3],
  ['copy', 3],
  ['unlink', 4],
  ['rmdir', 4],
  ['rename-from', 5],
  ['rename-to', 5],
  ['setattr', 6],
  ['setxattr', 6],
  ['set-privilege', 7],
  ['lookup', 8],
  ['getattr', 8],
  ['getxattr', 8],
  ['open', 14],
])
const OTHER = 99

/** Reasons that no honest program gives cause for. */
const ATTEMPTS: ReadonlySet<string> = new Set(['never', 'bad-path', 'anchored'])

export function deniedFileDraft(fact: FactOf<'file-denied'>): Draft {
  const operation = words(fact.operation) ?? 'unknown'
  const reason = words(fact.reason) ?? 'unknown'
  const path = words(fact.path) ?? 'unknown'
  const activityId = ACTIVITY.get(fact.operation) ?? OTHER
  return {
    classUid: CLASS.fileActivity,
    activityId,
    severityId: ATTEMPTS.has(fact.reason) ? SEVERITY.high : SEVERITY.medium,
    log: 'sluice.enforcement',
    profiles: ['security_control', 'host'],
    members: {
      ...(activityId === OTHER ? { activity_name: operation } : {}),
      status_id: 2,
      action_id: 2,
      disposition_id: 2, // Blocked
      status_code: reason,
      message: `denied ${operation} ${words(fact.volume) ?? ''}:${path}: ${reason}`,
      actor: present({
        process: present({ pid: whole(fact.pid) ?? 0 }),
        user: present({ uid: String(whole(fact.uid) ?? 0) }),
      }),
      device: workspaceDevice(fact.workspace),
      file: present({ name: words(path.slice(path.lastIndexOf('/') + 1)) ?? path, path, type_id: 0 }),
      firewall_rule: present({
        uid: words(fact.clause) ?? 'default-deny',
        type: words(fact.backend),
        version: fact.policy && String(fact.policy.generation),
      }),
      policy: fact.policy && bundlePolicy(fact.policy, true),
      count: whole(fact.count),
      start_time: whole(fact.atMs),
      unmapped: unmapped({
        ...(fact.policy ? bundleNumbers(fact.policy) : {}),
        volume: words(fact.volume),
        operation,
        clause: words(fact.clause),
      }),
    },
  }
}
