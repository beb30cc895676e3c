// Events of the journal -> what a workspace did while it was observed: flows that passed although nothing grants them, names that
// were answered, names that were refused. untrusted: the journal is the trail's, and names in it are the workspace's; what is
// not in the expected form is left out and counted.

import type { Json } from '../base/canonical.js'
import { isObject } from '../base/json.js'
import type { NameAnswer, SeenFlow } from '../plan/replay.js'
import type { Protocol } from '../policy/model.js'
import type { SeenName, SeenTraffic } from '../policy/suggest.js'

export const NETWORK_ACTIVITY = 4001
export const DNS_ACTIVITY = 4003

export interface ObservedRows {
  readonly traffic: SeenTraffic[]
  readonly names: SeenName[]
  readonly refused: Map<string, number>
  /** Events of the right class that could not be read. */
  unreadable: number
}

export const noRows = (): ObservedRows => ({ traffic: [], names: [], refused: new Map(), unreadable: 0 })

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
const part = (event: Readonly<Record<string, unknown>>, name: string): Readonly<Record<string, unknown>> => {
  const value = event[name] as Json | undefined
  return value !== undefined && isObject(value) ? value : {}
}

/** Takes one event in, if it is about this. */
export function takeObserved(rows: ObservedRows, event: Readonly<Record<string, unknown>>): void {
  if (event.class_uid === NETWORK_ACTIVITY && text(event.status_code)?.startsWith('observed.')) {
    const traffic = trafficOf(event)
    if (traffic) rows.traffic.push(traffic)
    else rows.unreadable++
  } else if (event.class_uid === DNS_ACTIVITY) takeName(rows, event)
}

function trafficOf(event: Readonly<Record<string, unknown>>): SeenTraffic | undefined {
  const [to, unmapped] = [part(event, 'dst_endpoint'), part(event, 'unmapped')]
  const destination = text(to.ip)
  const protocol = count(part(event, 'connection_info').protocol_num)
  const [begun, answered, lastAtMs] = [count(unmapped.begun), count(unmapped.answered), count(event.time)]
  if (destination === undefined || protocol === undefined || lastAtMs === undefined) return undefined
  if (begun === undefined || answered === undefined) return undefined
  const port = count(to.port)
  return {
    ...{ protocol, destination, begun, answered, firstAtMs: count(event.start_time) ?? lastAtMs, lastAtMs },
    ...(port === undefined ? {} : { port }),
    ...(unmapped.mixed_destinations === true ? { mixed: true } : {}),
  }
}

function takeName(rows: ObservedRows, event: Readonly<Record<string, unknown>>): void {
  const name = text(part(event, 'query').hostname)
  const atMs = count(event.time)
  if (name === undefined || atMs === undefined) return
  const answers = (Array.isArray(event.answers) ? (event.answers as readonly Json[]) : []).flatMap((one) =>
    isObject(one) ? (text(one.rdata) ?? []) : [],
  )
  if (answers.length > 0) rows.names.push({ name, addresses: answers, atMs: count(event.start_time) ?? atMs })
  else if (event.action_id === 2 && event.status_code === 'not-granted')
    rows.refused.set(name, (rows.refused.get(name) ?? 0) + (count(event.count) ?? 1))
}

export interface TrafficRows {
  readonly flows: SeenFlow[]
  readonly names: NameAnswer[]
}

const PROTOCOLS: ReadonlyMap<number, Protocol> = new Map([
  [1, 'icmp-echo'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmp-echo'],
])

/**
 * Takes in what passed and what was refused, and names that were answered. What a grant of several addresses or ports let pass
 * stands for its first ones: the fence counts by grant. An event whose destinations were put together says nothing.
 */
export function takeTraffic(rows: TrafficRows, event: Readonly<Record<string, unknown>>): void {
  const workspace = text(part(event, 'device').uid)
  if (workspace === undefined) return
  if (event.class_uid === DNS_ACTIVITY) {
    const seen = noRows()
    takeName(seen, event)
    for (const { name, addresses } of seen.names) rows.names.push({ workspace, name, addresses })
  } else if (event.class_uid === NETWORK_ACTIVITY) {
    const [from, to] = [part(event, 'src_endpoint'), part(event, 'dst_endpoint')]
    const protocol = PROTOCOLS.get(count(part(event, 'connection_info').protocol_num) ?? 0)
    const [source, destination, port] = [text(from.ip), text(to.ip), count(to.port)]
    const ported = protocol === 'icmp-echo' || port !== undefined
    if (protocol === undefined || source === undefined || destination === undefined || !ported) return
    if (part(event, 'unmapped').mixed_destinations === true) return
    rows.flows.push({ workspace, protocol, source, destination, port: port ?? 0, count: count(event.count) ?? 1 })
  }
}
