// Addresses that are not the public network: the ranges of OpenShell's sheet section 8, upstream's lists and the ones that
// upstream leaves open. `never` is opened by nothing; `reserved` only by a signed prefix that lies wholly inside one
// row, or by a signed `dns.pins` entry for exactly its addresses (design section 5, step 6).

import { covers, formatPrefix, type Ip, type IpRange, inRange, type Prefix, parsePrefix, prefixRange } from './ip.js'

export type AddressClass = 'public' | 'reserved' | 'never'

interface Row {
  readonly prefix: string
  readonly why: string
}

const NEVER_ROWS: readonly Row[] = [
  { prefix: '0.0.0.0/8', why: 'this network' },
  { prefix: '127.0.0.0/8', why: 'loopback' },
  { prefix: '169.254.0.0/16', why: 'link-local and cloud metadata' },
  { prefix: '100.100.100.200/32', why: 'cloud metadata' },
  { prefix: '168.63.129.16/32', why: 'cloud metadata' },
  { prefix: '192.0.0.192/32', why: 'cloud metadata' },
  { prefix: '224.0.0.0/4', why: 'multicast' },
  { prefix: '255.255.255.255/32', why: 'limited broadcast' },
  { prefix: '::/128', why: 'unspecified' },
  { prefix: '::1/128', why: 'loopback' },
  { prefix: '::ffff:0:0/96', why: 'v4-mapped' },
  { prefix: 'fe80::/10', why: 'link-local' },
  { prefix: 'ff00::/8', why: 'multicast' },
  { prefix: 'fd00:ec2::254/128', why: 'cloud metadata' },
]

const RESERVED_ROWS: readonly Row[] = [
  { prefix: '10.0.0.0/8', why: 'private' },
  { prefix: '100.64.0.0/10', why: 'carrier-grade NAT' },
  { prefix: '172.16.0.0/12', why: 'private' },
  { prefix: '192.0.0.0/24', why: 'IETF protocol assignments' },
  { prefix: '192.0.2.0/24', why: 'TEST-NET-1' },
  { prefix: '192.31.196.0/24', why: 'AS112' },
  { prefix: '192.52.193.0/24', why: 'AMT' },
  { prefix: '192.88.99.0/24', why: '6to4 relay' },
  { prefix: '192.168.0.0/16', why: 'private' },
  { prefix: '192.175.48.0/24', why: 'AS112' },
  { prefix: '198.18.0.0/15', why: 'benchmarking' },
  { prefix: '198.51.100.0/24', why: 'TEST-NET-2' },
  { prefix: '203.0.113.0/24', why: 'TEST-NET-3' },
  { prefix: '240.0.0.0/4', why: 'reserved for future use' },
  { prefix: '::/96', why: 'v4-compatible' },
  { prefix: '64:ff9b::/96', why: 'NAT64' },
  { prefix: '64:ff9b:1::/48', why: 'NAT64, local' },
  { prefix: '100::/64', why: 'discard' },
  { prefix: '2001::/32', why: 'Teredo' },
  { prefix: '2001:10::/28', why: 'ORCHID' },
  { prefix: '2001:20::/28', why: 'ORCHIDv2' },
  { prefix: '2001:db8::/32', why: 'documentation' },
  { prefix: '2002::/16', why: '6to4' },
  { prefix: '3fff::/20', why: 'documentation' },
  { prefix: '5f00::/16', why: 'segment routing' },
  { prefix: 'fc00::/7', why: 'unique local' },
  { prefix: 'fec0::/10', why: 'site-local' },
]

export interface ReservedRange {
  readonly class: 'reserved' | 'never'
  readonly prefix: Prefix
  readonly range: IpRange
  readonly why: string
}

const load = (kind: 'reserved' | 'never', rows: readonly Row[]): ReservedRange[] =>
  rows.map((row) => {
    const prefix = parsePrefix(row.prefix)?.prefix
    if (!prefix) throw new TypeError(`reserved table: ${row.prefix}`)
    return { class: kind, prefix, range: prefixRange(prefix), why: row.why }
  })

export const NEVER: readonly ReservedRange[] = load('never', NEVER_ROWS)
export const RESERVED: readonly ReservedRange[] = load('reserved', RESERVED_ROWS)

/** The row that decides an address: `never` before `reserved`; undefined for a public address. */
export const reservedRow = (ip: Ip): ReservedRange | undefined =>
  NEVER.find((row) => inRange(ip, row.range)) ?? RESERVED.find((row) => inRange(ip, row.range))

export const addressClass = (ip: Ip): AddressClass => reservedRow(ip)?.class ?? 'public'

/**
 * What a granted prefix means: `public` grants its public addresses only, whatever reserved ranges lie inside it;
 * `opens` lies wholly inside one reserved range and so opens it; `never` holds no address that anything may open.
 */
export function prefixClass(prefix: Prefix): 'public' | 'opens' | 'never' {
  const range = prefixRange(prefix)
  if (NEVER.some((row) => covers(row.range, range))) return 'never'
  return RESERVED.some((row) => covers(row.range, range)) ? 'opens' : 'public'
}

export const printRow = (row: ReservedRange): string => `${formatPrefix(row.prefix)} (${row.why})`

/** Control-plane ports of the OpenShell sheet (etcd, Kubernetes API, kubelet), refused unless granted by number. */
export const CONTROL_PLANE_PORTS: readonly number[] = [2379, 2380, 6443, 10250, 10255]
/** DNS, DNS over TLS and over QUIC: a resolver that is not the fence's own. */
export const DNS_PORTS: readonly number[] = [53, 853]
