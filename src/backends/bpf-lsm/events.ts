// What the guard refused, out of the kernel's ring buffers: programs as records of activity, operations on files as refusals of files, those
// that say the same folded into one. The time of an event is now minus its age by the clock that counts sleep. An event of a cgroup that
// no plan on record names any more is nobody's, and counted.

import { isDigest } from '../../base/digest.js'
import { FILE_DENIALS } from '../../plan/evaluate-file.js'
import { FILE_OPERATION_NAMES } from '../../plan/file-operations.js'
import type { ActivityBatch, FileDenied } from '../backend.js'
import { textIn } from '../tracing/ring.js'
import { COMM_OCTETS, FILE_PATH_OCTETS, FLAG, PATH_OCTETS, STRUCTS } from './layout.js'
import type { Tree } from './tree.js'
import { RIGHT_NAMES } from './tree.js'

/** Workspaces by the numbers of their cgroups. */
export type Named = ReadonlyMap<bigint, string>
export interface Clocks {
  readonly ms: number
  readonly ns: bigint
}

const timeOf = (now: Clocks, atNs: bigint): number => now.ms - Number((now.ns - atNs) / 1_000_000n)

/** `now` by both clocks. */
export function activitiesOf(
  events: readonly Buffer[],
  named: Named,
  now: Clocks,
): { readonly activities: ActivityBatch['activities']; readonly unnamed: number } {
  const { fields } = STRUCTS.guard_event
  const activities = events.flatMap((event) => {
    const workspace = named.get(event.readBigUInt64LE(fields.cgroup))
    if (workspace === undefined) return []
    const reason = event.readUInt32LE(fields.reason)
    const [path, name] = [textIn(event, fields.path, PATH_OCTETS), textIn(event, fields.comm, COMM_OCTETS)]
    return [
      {
        workspace,
        record: {
          activity: 'process-started' as const,
          said: 'exec refused',
          atMs: timeOf(now, event.readBigUInt64LE(fields.at_ns)),
          refused: reason === FLAG.quarantined ? 'quarantined' : reason === FLAG.suspended ? 'suspended' : 'unlisted',
          workload: { macs: [], addresses: [] },
          process: {
            pid: event.readUInt32LE(fields.pid),
            uid: event.readUInt32LE(fields.uid),
            ...(name === '' ? {} : { name }),
            ...(path === '' ? {} : { path }),
          },
        },
      },
    ]
  })
  return { activities, unnamed: events.length - activities.length }
}

/** Refusals of one batch that are told apart by the process as well; more than that is a flood, and folds whoever it was. */
const TOLD_APART = 64

/** A plan that judges or did, by the turn at which it began: what is told of late is still its own. */
export interface Judged {
  readonly turn: number
  readonly generation: number
  /** By number of the node. */
  readonly clauses: Tree['clauses']
  /** Names of volumes by workspace, in their order. */
  readonly volumes: Readonly<Record<string, readonly string[]>>
}

export function fileDenialsOf(
  events: readonly Buffer[],
  named: Named,
  judged: readonly Judged[],
  now: Clocks,
): { readonly denials: readonly FileDenied[]; readonly unnamed: number } {
  const { fields } = STRUCTS.guard_file_event
  const folded = new Map<string, FileDenied>()
  let unnamed = 0
  for (const event of events) {
    const workspace = named.get(event.readBigUInt64LE(fields.cgroup))
    const operation = FILE_OPERATION_NAMES[event.readUInt32LE(fields.operation)]
    const reason = FILE_DENIALS[event.readUInt32LE(fields.verdict) - 1]
    if (workspace === undefined || operation === undefined || reason === undefined) {
      unnamed++
      continue
    }
    // Of a plan that nobody knows any more there is no policy to name.
    const turn = event.readUInt32LE(fields.turn)
    const plan = judged.find((one) => one.turn === turn)
    const generation = plan?.generation ?? 0
    // What has no path is on no volume that anybody knows.
    const volume = plan?.volumes[workspace]?.[event.readUInt32LE(fields.volume) - 1] ?? ''
    const access = RIGHT_NAMES[event.readUInt32LE(fields.right)]
    const said = plan?.clauses[event.readUInt32LE(fields.node)]
    const clause = access === undefined ? undefined : said?.[access]
    const denied = {
      ...{ workspace, volume, operation, reason, generation },
      path: textIn(event, fields.path, FILE_PATH_OCTETS),
      uid: event.readUInt32LE(fields.uid),
      ...(clause !== undefined && isDigest(clause) ? { clause } : {}),
    }
    const pid = event.readUInt32LE(fields.pid)
    const what = JSON.stringify(denied)
    const key = folded.has(`${what} ${pid}`) || folded.size < TOLD_APART ? `${what} ${pid}` : what
    const same = folded.get(key)
    folded.set(key, {
      ...denied,
      count: (same?.count ?? 0) + 1,
      atMs: same?.atMs ?? timeOf(now, event.readBigUInt64LE(fields.at_ns)),
      pid: same?.pid ?? pid,
    })
  }
  return { denials: [...folded.values()], unnamed }
}
