// What ran, out of the kernel's ring buffer, as records of activity shaped like those of Argus. The time of an event is now minus its age by
// the clock that counts sleep.

import { formatIp } from '../../base/ip.js'
import type { ActivityRecord, ConnectionDetails } from '../../process/activity.js'
import { textIn } from '../tracing/ring.js'
import { fileThatRan } from './files.js'
import { COMM_OCTETS, PATH_OCTETS, STRUCTS } from './layout.js'

const [INET, INET6] = [2, 10]

/** One event; `pinned` are the paths whose content is asked for, `now` is by both clocks. */
export function recordOf(
  event: Buffer,
  pinned: ReadonlySet<string>,
  now: { readonly ms: number; readonly ns: bigint },
): ActivityRecord {
  const { fields } = STRUCTS.sensor_event
  const pid = event.readUInt32LE(fields.pid)
  const told = {
    inode: event.readBigUInt64LE(fields.inode),
    device: event.readUInt32LE(fields.device),
    links: event.readUInt32LE(fields.links),
  }
  const { path, digest } = fileThatRan(pid, textIn(event, fields.path, PATH_OCTETS), told, (one) => pinned.has(one))
  const length = event.readUInt32LE(fields.arguments_length)
  const words = event
    .toString('utf8', fields.arguments, fields.arguments + length)
    .replaceAll('\0', ' ')
    .trim()
  const [input, output] = [0, 1].map((i) => endOf(event, fields.ends + i * STRUCTS.sensor_end.size))
  const connection = input ?? output
  return {
    activity: 'process-started',
    said: 'process created',
    atMs: now.ms - Number((now.ns - event.readBigUInt64LE(fields.at_ns)) / 1_000_000n),
    workload: { macs: [], addresses: [] },
    process: {
      pid,
      parentPid: event.readUInt32LE(fields.parent),
      name: textIn(event, fields.comm, COMM_OCTETS),
      path,
      ...(words === '' ? {} : { arguments: words }),
      ...(digest === undefined ? {} : { digest }),
      uid: event.readUInt32LE(fields.uid),
    },
    ...(connection ? { connection, remote: true } : {}),
  }
}

function endOf(event: Buffer, at: number): ConnectionDetails | undefined {
  const { fields } = STRUCTS.sensor_end
  const family = event.readUInt16LE(at + fields.family)
  if (family !== INET && family !== INET6) return undefined
  const octets = event.subarray(at + fields.peer, at + fields.peer + (family === INET ? 4 : 16))
  const value = octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n)
  return {
    peer: formatIp({ family: family === INET ? 4 : 6, value }),
    peerPort: event.readUInt16BE(at + fields.port),
  }
}
