// The zones of the name-server lab. Addresses look public, since TEST-NETs are reserved (design section 5); those that the
// network laboratory serves are served there. Every awkward thing that a resolver can rightly say has a name here; what only a
// broken or hostile server says is in hostile.ts, and what changes from query to query in authority.mjs.

import { OUT } from '../lab/addresses.js'

export const LAB_ZONE = 'lab.example'
/** Signed with a key of one run; the resolver has it as a trust anchor. */
export const SIGNED_ZONE = 'signed.example'
/** Answered by authority.mjs, anew at every query. */
export const LIVE_ZONE = 'live.example'

/** Seconds that the resolver may remember that a name is not there (RFC 2308 section 5). */
export const NEGATIVE_SECONDS = 7
export const MANY = 300
export const CHAIN = 60

const head = (zone: string): string[] => [
  `$ORIGIN ${zone}.`,
  '$TTL 60',
  `@ SOA ns hostmaster 1 3600 600 86400 ${NEGATIVE_SECONDS}`,
  '@ NS ns',
  'ns A 45.76.9.1',
]

/** `45.77.0.1` and on. */
export const manyAddresses = (count = MANY): string[] =>
  Array.from({ length: count }, (_, i) => `45.77.${(i + 1) >> 8}.${(i + 1) & 255}`)

export const labZone = (): string =>
  [
    ...head(LAB_ZONE),
    `git A ${OUT.git}`,
    `git AAAA ${OUT.git6}`,
    `registry A ${OUT.registry}`,
    `inference A ${OUT.inference}`,
    `unlisted A ${OUT.unlisted}`,
    `unlisted AAAA ${OUT.unlisted6}`,
    // The same address under two names.
    `cdn-a A ${OUT.registry}`,
    `cdn-b A ${OUT.registry}`,
    // Addresses that no name may open.
    `database A ${OUT.database}`,
    `metadata A ${OUT.metadata}`,
    `metadata AAAA ${OUT.metadata6}`,
    'loopback A 127.0.0.1',
    'loopback AAAA ::1',
    `mixed A ${OUT.git}`,
    `mixed A ${OUT.database}`,
    `mapped AAAA ::ffff:${OUT.git}`,
    `v4only A ${OUT.git}`,
    `v6only AAAA ${OUT.git6}`,
    'text TXT "nothing to see"',
    `service HTTPS 1 . alpn=h2 ipv4hint=${OUT.git} ipv6hint=${OUT.git6}`,
    `service A ${OUT.git}`,
    ...manyAddresses().map((address) => `many A ${address}`),
    'alias CNAME git',
    'alias2 CNAME alias',
    `chain${CHAIN} A ${OUT.git}`,
    ...Array.from({ length: CHAIN }, (_, i) => `chain${i} CNAME chain${i + 1}`),
    'loop-a CNAME loop-b',
    'loop-b CNAME loop-a',
    'self CNAME self',
    'dangling CNAME nowhere',
    `*.wild A ${OUT.registry}`,
    // A record without a time takes that of the record before it (RFC 1035 section 5.1): these stand last.
    `week 604800 A ${OUT.git}`,
    `second 1 A ${OUT.git}`,
    `zero 0 A ${OUT.git}`,
    '',
  ].join('\n')

export const signedZone = (): string =>
  [...head(SIGNED_ZONE), `www A ${OUT.git}`, `www AAAA ${OUT.git6}`, 'alias CNAME www', ''].join('\n')
