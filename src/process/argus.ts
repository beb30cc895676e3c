// One line of DOCA Argus -> one record, or why there is none. NVIDIA has published no schema: the names are those that three
// public readers use, so everything is optional but the name of the activity, and what is not understood passes as `other`.
// Numbers may come as text, a header may be wrapped, a time in 1970 means none (sheet section 12).
// untrusted: all of it.

import { parseInstant } from '../base/instant.js'
import { formatIp, parseIp } from '../base/ip.js'
import { parseMac } from '../base/mac.js'
import type { Activity, ActivityRecord, ConnectionDetails, ProcessDetails, Workload } from './activity.js'

/** A line that is longer is no line of Argus. */
export const MAX_LINE = 65_536
/** Of one text in a record. */
const MAX_TEXT = 4_096
/** Addresses of one workload. */
const MAX_PLACES = 64

export type ArgusRead =
  | { readonly record: ActivityRecord }
  | { readonly problem: 'too-long' | 'not-json' | 'no-activity' }

type Fields = { readonly [name: string]: unknown }
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** `line` without its end. */
export function readArgusLine(line: string): ArgusRead {
  if (line.length > MAX_LINE) return { problem: 'too-long' }
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return { problem: 'not-json' } // torn by a crash or a rotation, or somebody else's line
  }
  if (!isObject(value)) return { problem: 'not-json' }
  const outer: Fields = value
  // A wrapped header says what the record would say itself.
  const head: Fields = { ...section(outer, 'message_header'), ...outer }
  const data = section(outer, 'activity_data')
  const said = text(data.name)
  if (said === undefined) return { problem: 'no-activity' }
  const process = processOf({ ...section(outer, 'process_details'), ...section(data, 'process_details') })
  const connection = connectionOf({
    ...section(outer, 'network_connection_details'),
    ...section(data, 'network_connection_details'),
  })
  const id = text(head.message_id)
  const atMs = time(head.occurred_message_time_iso_8601_ns)
  return {
    record: {
      ...(id === undefined ? {} : { id }),
      activity: activityOf(said),
      said,
      ...(atMs === undefined ? {} : { atMs }),
      workload: workloadOf(section(outer, 'workload_information')),
      ...(process ? { process } : {}),
      ...(connection ? { connection } : {}),
    },
  }
}

/** Words that a name holds, in the order in which they are looked for. */
const NAMES: readonly (readonly [RegExp, Activity])[] = [
  [/reverse shell/, 'reverse-shell'],
  [/shell history.*disabled/, 'shell-history-disabled'],
  [/shell history.*cleared/, 'shell-history-cleared'],
  [/executable permissions? removed/, 'permissions-removed'],
  [/anonymous memory/, 'executable-memory'],
  [/process created/, 'process-started'],
  [/process terminated/, 'process-ended'],
  [/container (created|started|terminated)/, 'container'],
  [/network connection/, 'connection'],
  [/file /, 'file'],
]

/** `Process Created`, `process_created` and `process-created` are one. */
function activityOf(said: string): Activity {
  const words = said.toLowerCase().replace(/[_\s-]+/g, ' ')
  return NAMES.find(([pattern]) => pattern.test(words))?.[1] ?? 'other'
}

function processOf(fields: Fields): ProcessDetails | undefined {
  const pid = number(fields.process_id)
  if (pid === undefined) return undefined
  const hash = text(fields.process_hash_sha256)?.toLowerCase()
  return {
    pid,
    ...some('parentPid', number(fields.process_parent_process_id)),
    ...some('name', text(fields.process_name)),
    ...some('path', text(fields.process_executable_path)),
    ...some('arguments', argumentsOf(fields.process_command_line_arguments)),
    ...(hash !== undefined && /^[0-9a-f]{64}$/.test(hash) ? { digest: `sha256:${hash}` as const } : {}),
    ...some('uid', number(fields.process_real_user_id)),
    ...some('containerId', text(fields.process_container_id)),
    ...some('startedAtMs', time(fields.process_creation_time_iso_8601_ns)),
  }
}

function connectionOf(fields: Fields): ConnectionDetails | undefined {
  const found = {
    ...some('state', text(fields.connection_state)),
    ...some('local', address(fields.local_address)),
    ...some('localPort', port(fields.local_port)),
    ...some('peer', address(fields.peer_address)),
    ...some('peerPort', port(fields.peer_port)),
  }
  return Object.keys(found).length === 0 ? undefined : found
}

function workloadOf(fields: Fields): Workload {
  const [macs, addresses] = [new Set<string>(), new Set<string>()]
  const look = (value: unknown, depth: number): void => {
    if (depth > 3 || macs.size + addresses.size > MAX_PLACES) return
    if (typeof value === 'string') {
      const mac = parseMac(value)
      const ip = address(value.replace(/\/\d{1,3}$/, ''))
      if (mac !== undefined) macs.add(mac)
      if (ip !== undefined) addresses.add(ip)
    } else if (Array.isArray(value)) for (const item of value.slice(0, MAX_PLACES)) look(item, depth + 1)
    else if (isObject(value)) for (const item of Object.values(value).slice(0, MAX_PLACES)) look(item, depth + 1)
  }
  look(fields.workload_networking_interfaces, 0)
  return {
    ...some('id', text(fields.unique_identifier)),
    ...some('hostname', text(fields.hostname)),
    macs: [...macs].sort(),
    addresses: [...addresses].sort(),
  }
}

const some = <K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: T }

const section = (fields: Fields, name: string): Fields => {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined
  return isObject(value) ? value : {}
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined

/** Arguments come as one text or as a list. */
const argumentsOf = (value: unknown): string | undefined =>
  Array.isArray(value)
    ? text(value.filter((item) => typeof item === 'string').join(' '))
    : text(typeof value === 'string' ? value.slice(0, MAX_TEXT) : value)

const number = (value: unknown): number | undefined => {
  const found = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value
  return typeof found === 'number' && Number.isSafeInteger(found) && found >= 0 ? found : undefined
}

const port = (value: unknown): number | undefined => {
  const found = number(value)
  return found !== undefined && found <= 65_535 ? found : undefined
}

/** `::ffff:192.0.2.1` is 192.0.2.1. */
const address = (value: unknown): string | undefined => {
  if (typeof value !== 'string' || value.length > 64) return undefined
  const ip = parseIp(value.replace(/^::ffff:(?=\d+\.)/i, ''))
  return ip && formatIp(ip)
}

const YEAR_MS = 366 * 86_400_000

/** Nothing ran in 1970. */
const time = (value: unknown): number | undefined => {
  const atMs = typeof value === 'string' && value.length <= 40 ? parseInstant(value) : undefined
  return atMs !== undefined && atMs >= YEAR_MS ? atMs : undefined
}
