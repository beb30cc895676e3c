// Process Activity (1007), Launch: a program that a clause speaks against ran and was seen (Observed, Detected), or was refused
// before it ran (Denied, Blocked). The finding beside it says what it means. untrusted: path, name and arguments.

import type { FactOf } from '../fact.js'
import { bundleNumbers, bundlePolicy, unmapped, workspaceDevice } from './attributes.js'
import { CLASS, type Draft, present, SEVERITY, whole, words } from './event.js'

const LAUNCH = 1
const LAUNCH_BY_EXEC = 3
const SHA256 = 3
const EXECUTABLE_FILE = 8

export function suspectedProcessDraft(fact: FactOf<'process-suspected'>): Draft {
  const { process, refused, peer } = fact
  const suspicion = words(fact.suspicion) ?? 'unknown'
  const path = words(process?.path)
  const name = words(process?.name) ?? (path === undefined ? undefined : baseName(path))
  const digest = words(process?.digest?.slice('sha256:'.length))
  const uid = whole(process?.uid)
  const user = uid === undefined ? undefined : { uid: String(uid) }
  const parent = whole(process?.parentPid)
  return {
    classUid: CLASS.processActivity,
    activityId: LAUNCH,
    severityId: refused ? SEVERITY.medium : SEVERITY.high,
    log: 'sluice.enforcement',
    profiles: ['security_control', 'host'],
    members: {
      status_id: refused ? 2 : 1,
      action_id: refused ? 2 : 3,
      disposition_id: refused ? 2 : 15, // Blocked, Detected
      launch_type_id: LAUNCH_BY_EXEC,
      status_code: suspicion,
      message: `${refused ? 'refused' : 'seen'}: ${path ?? name ?? words(fact.said) ?? 'unknown'}: ${suspicion}`,
      actor: { process: { pid: parent ?? whole(process?.pid) ?? 0 }, ...(user ? { user } : {}) },
      device: workspaceDevice(fact.workspace),
      process: present({
        pid: whole(process?.pid) ?? 0,
        name,
        path,
        cmd_line: words(process?.arguments),
        created_time: whole(process?.startedAtMs),
        user,
        file:
          path === undefined
            ? undefined
            : present({
                name: baseName(path),
                path,
                type_id: EXECUTABLE_FILE,
                hashes: digest === undefined ? undefined : [{ algorithm_id: SHA256, value: digest }],
              }),
      }),
      firewall_rule: present({
        uid: words(fact.clause) ?? 'unknown',
        type: words(fact.backend),
        version: fact.policy && String(fact.policy.generation),
      }),
      policy: fact.policy && bundlePolicy(fact.policy, true),
      count: whole(fact.count),
      unmapped: unmapped({
        ...(fact.policy ? bundleNumbers(fact.policy) : {}),
        clause: words(fact.clause),
        said: words(fact.said),
        bound_by: words(fact.boundBy),
        peer: peer && words(peer.address),
        peer_port: peer && whole(peer.port),
      }),
    },
  }
}

const baseName = (path: string): string => words(path.slice(path.lastIndexOf('/') + 1)) ?? path
