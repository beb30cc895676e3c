// Lines of DOCA Argus as records: every shape that its readers have met, and none that throws.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACTIVITIES } from '../../../src/process/activity.js'
import { MAX_LINE, readArgusLine } from '../../../src/process/argus.js'

const HASH = 'a'.repeat(64)
const LINE = {
  message_id: 'm-1',
  message_type: 'EVENT',
  severity: 'INFO',
  product_name: 'DOCA_ARGUS',
  occurred_message_time_iso_8601_ns: '2026-04-01T03:28:58.811123456Z',
  workload_information: {
    unique_identifier: 'vm-7',
    hostname: 'dev',
    workload_networking_interfaces: [
      { name: 'eth0', mac: '02:00:00:00:09:02', addresses: ['10.9.0.2/24', '::ffff:10.9.0.3'] },
    ],
  },
  activity_data: {
    name: 'Process Created',
    process_details: {
      process_id: '4711',
      process_parent_process_id: 1,
      process_name: 'bash',
      process_executable_path: '/usr/bin/bash',
      process_command_line_arguments: ['bash', '-i'],
      process_hash_sha256: HASH.toUpperCase(),
      process_real_user_id: '1000',
      process_creation_time_iso_8601_ns: '1970-01-01T00:00:00.000000000Z',
    },
  },
}
const read = (value: unknown) => readArgusLine(JSON.stringify(value))

describe('readArgusLine', () => {
  it('reads a record, with numbers as text, mapped addresses and a time that is none', () => {
    expect(read(LINE)).toEqual({
      record: {
        id: 'm-1',
        activity: 'process-started',
        said: 'Process Created',
        atMs: 1_775_014_138_811,
        workload: { id: 'vm-7', hostname: 'dev', macs: ['02:00:00:00:09:02'], addresses: ['10.9.0.2', '10.9.0.3'] },
        process: {
          pid: 4711,
          parentPid: 1,
          name: 'bash',
          path: '/usr/bin/bash',
          arguments: 'bash -i',
          digest: `sha256:${HASH}`,
          uid: 1000,
        },
      },
    })
  })
  it('unwraps a header, and finds details beside the activity', () => {
    const { message_id, occurred_message_time_iso_8601_ns, activity_data, ...rest } = LINE
    const { name, process_details } = activity_data
    const wrapped = {
      ...rest,
      message_header: { message_id, occurred_message_time_iso_8601_ns },
      activity_data: { name },
      process_details,
    }
    expect(read(wrapped)).toEqual(read(LINE))
  })
  it('reads both ends of a connection, and leaves out what is none', () => {
    const shell = {
      ...LINE,
      activity_data: {
        name: 'Reverse Shell Detected',
        network_connection_details: {
          connection_state: 'ESTABLISHED',
          local_address: '::ffff:10.9.0.2',
          local_port: '40000',
          peer_address: '2001:DB8::7',
          peer_port: 70_000,
        },
      },
    }
    expect(read(shell)).toMatchObject({
      record: {
        activity: 'reverse-shell',
        connection: { state: 'ESTABLISHED', local: '10.9.0.2', localPort: 40_000, peer: '2001:db8::7' },
      },
    })
    expect(JSON.stringify(read(shell))).not.toContain('peerPort')
    expect(read(shell)).not.toHaveProperty('record.process')
  })
  it.each([
    ['process_terminated', 'process-ended'],
    ['Shell History Disabled', 'shell-history-disabled'],
    ['SHELL-HISTORY-CLEARED', 'shell-history-cleared'],
    ['New Executable Anonymous Memory Mapped', 'executable-memory'],
    ['Executable Permissions Removed', 'permissions-removed'],
    ['tcp network connection status change', 'connection'],
    ['file descriptor open', 'file'],
    ['container started', 'container'],
    ['Something Of A Later Release', 'other'],
  ])('knows %s', (name, activity) => {
    expect(read({ activity_data: { name } })).toEqual({
      record: { activity, said: name, workload: { macs: [], addresses: [] } },
    })
  })
  it('says why a line is no record', () => {
    expect(readArgusLine(JSON.stringify(LINE).slice(0, 90))).toEqual({ problem: 'not-json' })
    expect(readArgusLine('')).toEqual({ problem: 'not-json' })
    expect(readArgusLine('[1]')).toEqual({ problem: 'not-json' })
    expect(read({ message_id: 'm' })).toEqual({ problem: 'no-activity' })
    expect(read({ activity_data: { name: 7 } })).toEqual({ problem: 'no-activity' })
    expect(readArgusLine(`"${'x'.repeat(MAX_LINE)}"`)).toEqual({ problem: 'too-long' })
  })
  it('takes no text, number or digest that is none', () => {
    const odd = {
      activity_data: {
        name: 'process created',
        process_details: {
          process_id: 3,
          process_executable_path: 'x'.repeat(5_000),
          process_hash_sha256: 'zz',
          process_real_user_id: -1,
          process_parent_process_id: '1e3',
          process_name: { toString: 'x' },
        },
      },
    }
    expect(read(odd)).toEqual({
      record: {
        activity: 'process-started',
        said: 'process created',
        workload: { macs: [], addresses: [] },
        process: { pid: 3 },
      },
    })
  })
  it('never throws, and gives only activities that it knows', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.jsonValue().map((activity_data) => JSON.stringify({ activity_data, workload_information: activity_data })),
        ),
        (line) => {
          const made = readArgusLine(line)
          if ('record' in made) expect(ACTIVITIES).toContain(made.record.activity)
          else expect(['too-long', 'not-json', 'no-activity']).toContain(made.problem)
        },
      ),
      { numRuns: 500 },
    )
  })
})
