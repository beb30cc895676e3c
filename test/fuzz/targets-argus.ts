// Fuzz target: lines of DOCA Argus, which hold what a guest put into its own memory. Whatever comes is a record whose values are what
// they are said to be, or a reason.

import { utf8 } from '../../src/base/bytes.js'
import { formatIp, parseIp } from '../../src/base/ip.js'
import { parseMac } from '../../src/base/mac.js'
import { ACTIVITIES } from '../../src/process/activity.js'
import { readArgusLine } from '../../src/process/argus.js'
import { judgeActivity } from '../../src/process/judge.js'
import type { Target } from './engine.js'
import { hold, show } from './laws.js'

const PROCESS = {
  process_id: '7',
  process_executable_path: '/usr/bin/bash',
  process_hash_sha256: 'a'.repeat(64),
  process_real_user_id: 0,
}
const LINE = {
  message_header: { message_id: 'm', occurred_message_time_iso_8601_ns: '2026-04-01T03:28:58.811123456Z' },
  workload_information: {
    unique_identifier: 'vm',
    workload_networking_interfaces: [{ mac: '02:00:00:00:09:02', ip: '::ffff:10.9.0.2' }],
  },
  activity_data: {
    name: 'Reverse Shell Detected',
    process_details: PROCESS,
    network_connection_details: { peer_address: '192.0.2.7', peer_port: '4444' },
  },
}
const CLAUSE = `sha256:${'0'.repeat(64)}` as const
const SLICE = {
  exec: { clause: CLAUSE, reaction: 'kill', allow: [{ path: '/usr/bin/node' }] },
  activities: {
    clause: CLAUSE,
    reaction: 'quarantine',
    kinds: ['memory-only', 'reverse-shell', 'shell', 'shell-history'],
  },
} as const

export const argus: Target = {
  name: 'argus',
  seeds: () =>
    Promise.resolve(
      [LINE, { ...LINE, activity_data: { name: 'process created' }, process_details: PROCESS }, {}].map((value) =>
        utf8(JSON.stringify(value)),
      ),
    ),
  words: [
    '"__proto__":',
    '"activity_data":',
    '"name":',
    '"process_details":',
    '1e999',
    '-1',
    'null',
    '1970-01-01T00:00:00Z',
    '::ffff:',
  ],
  run: (bytes) => {
    const made = readArgusLine(Buffer.from(bytes).toString('utf8'))
    if (!('record' in made)) return
    const { record } = made
    const { process, connection, workload, atMs } = record
    hold(ACTIVITIES.includes(record.activity), `an activity that is none: ${show(record.activity)}`)
    hold(atMs === undefined || (Number.isSafeInteger(atMs) && atMs > 0), `a time that is none: ${show(atMs)}`)
    hold(
      !process || (Number.isSafeInteger(process.pid) && process.pid >= 0),
      `a pid that is none: ${show(process?.pid)}`,
    )
    hold(process?.digest === undefined || /^sha256:[0-9a-f]{64}$/.test(process.digest), 'a digest that is none')
    for (const address of [connection?.peer, connection?.local, ...workload.addresses]) {
      const ip = address === undefined ? undefined : parseIp(address)
      hold(address === undefined || (ip !== undefined && formatIp(ip) === address), `no address: ${show(address)}`)
    }
    for (const port of [connection?.peerPort, connection?.localPort])
      hold(port === undefined || (port >= 0 && port <= 65_535), `no port: ${show(port)}`)
    for (const mac of workload.macs) hold(parseMac(mac) === mac, `no MAC: ${show(mac)}`)
    const suspicion = judgeActivity(SLICE, record)
    hold(!suspicion || suspicion.clause === CLAUSE, 'a suspicion without its clause')
  },
}
