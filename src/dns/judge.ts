// What of an upstream's answer may reach the workspace: pure. The chain begins at the name that was asked, lies inside this one
// answer, is short and goes round in no circle (requirement 4 of the egress sheet); final addresses are judged again whatever
// the names on the way were (requirement 12: rebinding); lifetimes are bounded (requirement 3).
// untrusted: every name, address and number of the answer.

import { formatIp, type Ip, inPrefix, parseIp, parsePrefix } from '../base/ip.js'
import { addressClass } from '../base/reserved.js'
import { grantIndex } from '../plan/lookup.js'
import type { NameRule, WorkspacePlan } from '../plan/model.js'
import type { Answer, AnswerRecord, Question } from './model.js'
import { canonicalName } from './names.js'
import { isResolverAddress } from './resolvers.js'

/** Aliases between the name and its addresses. */
export const MAX_CHAIN = 4
/** Addresses of one answer that are looked at: the first ones, as the upstream ordered them. */
export const MAX_ADDRESSES = 32
/** What a client is told, whatever the upstream says; zero would mean "ask before every packet". */
export const TTL_SECONDS = { floor: 1, cap: 300 } as const
/** A grant outlives what the client was told by this: resolvers and clients round, and hold answers for a while. */
export const GRACE_MS = 30_000

/** What one learned address opens. */
export interface Opening {
  readonly clause: NameRule['clause']
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

export interface JudgedAddress {
  readonly address: string
  readonly ttlSeconds: number
  /** Empty when static grants open the address already, so that nothing has to be learnt. */
  readonly opens: readonly Opening[]
}

export interface Alias {
  readonly owner: string
  readonly target: string
  readonly ttlSeconds: number
}

/** Why an address of an answer is not passed on. */
export type Stripped = 'never' | 'reserved' | 'outside-allowed-ips' | 'public-resolver' | 'not-an-address'

export type Judgement =
  | { readonly kind: 'no-such-name' }
  /** The name exists and has no address of this type. */
  | { readonly kind: 'nodata'; readonly aliases: readonly Alias[] }
  /** Nothing of the answer may be used. */
  | {
      readonly kind: 'unusable'
      readonly why: 'upstream-failed' | 'chain' | 'stripped'
      readonly stripped: readonly (readonly [string, Stripped])[]
    }
  | {
      readonly kind: 'addresses'
      readonly aliases: readonly Alias[]
      readonly addresses: readonly JudgedAddress[]
      readonly stripped: readonly (readonly [string, Stripped])[]
      /** Addresses beyond the limit, which nobody looked at. */
      readonly left: number
    }

export const clampTtl = (seconds: number): number =>
  Math.min(Math.max(Math.floor(seconds), TTL_SECONDS.floor), TTL_SECONDS.cap)

export function judge(at: WorkspacePlan, rules: readonly NameRule[], question: Question, answer: Answer): Judgement {
  if (answer.outcome === 'no-such-name') return { kind: 'no-such-name' }
  if (answer.outcome !== 'answer') return { kind: 'unusable', why: 'upstream-failed', stripped: [] }
  const chain = follow(question.name, answer.records)
  if (!chain) return { kind: 'unusable', why: 'chain', stripped: [] }
  const least = Math.min(TTL_SECONDS.cap, ...chain.aliases.map((alias) => alias.ttlSeconds))
  const found = answer.records.filter((record) => record.type === question.type && record.owner === chain.end)
  const addresses = new Map<string, JudgedAddress>()
  const stripped = new Map<string, Stripped>()
  for (const record of found.slice(0, MAX_ADDRESSES)) {
    if (record.type === 'CNAME') continue
    const ip = parseIp(record.address)
    if (!ip || (ip.family === 4) !== (question.type === 'A')) {
      stripped.set(record.address, 'not-an-address')
      continue
    }
    const address = formatIp(ip)
    const opens = openings(at, rules, ip, address)
    if (typeof opens === 'string') stripped.set(address, opens)
    else addresses.set(address, { address, ttlSeconds: clampTtl(Math.min(record.ttlSeconds, least)), opens })
  }
  const list = [...stripped]
  if (addresses.size === 0 && list.length > 0) return { kind: 'unusable', why: 'stripped', stripped: list }
  const aliases = chain.aliases.map((alias) => ({ ...alias, ttlSeconds: clampTtl(alias.ttlSeconds) }))
  if (addresses.size === 0) return { kind: 'nodata', aliases }
  const left = Math.max(0, found.length - MAX_ADDRESSES)
  return { kind: 'addresses', aliases, addresses: [...addresses.values()], stripped: list, left }
}

/** From the asked name along its aliases; undefined for two aliases of one name, a circle, a chain that is too long, a bad name. */
function follow(
  name: string,
  records: readonly AnswerRecord[],
): { readonly end: string; readonly aliases: readonly Alias[] } | undefined {
  const aliases: Alias[] = []
  const targets = new Map<string, Alias>()
  for (const record of records) {
    if (record.type !== 'CNAME') continue
    const held = targets.get(record.owner)
    // What could not be asked for cannot be an alias either.
    if (canonicalName(record.target) !== record.target) return undefined
    // RFC 2181 section 10.1: one name has one alias. The same record twice says nothing new.
    if (held && held.target !== record.target) return undefined
    targets.set(record.owner, { owner: record.owner, target: record.target, ttlSeconds: record.ttlSeconds })
  }
  const seen = new Set([name])
  let end = name
  for (let alias = targets.get(end); alias; alias = targets.get(end)) {
    if (aliases.length === MAX_CHAIN || seen.has(alias.target)) return undefined
    aliases.push(alias)
    seen.add(alias.target)
    end = alias.target
  }
  return { end, aliases }
}

/** What an address of a granted name opens, or why it is not passed on. */
function openings(
  at: WorkspacePlan,
  rules: readonly NameRule[],
  ip: Ip,
  address: string,
): readonly Opening[] | Stripped {
  const where = addressClass(ip)
  if (where === 'never') return 'never'
  if (where === 'reserved') return isOpened(at, rules, ip) ? [] : 'reserved'
  const resolver = isResolverAddress(address)
  const within = rules.filter((rule) => isWithin(rule.within, ip))
  if (within.length === 0) return 'outside-allowed-ips'
  const open = within.filter((rule) => !(resolver && rule.wildcard))
  if (open.length === 0) return 'public-resolver'
  return open.flatMap((rule) =>
    rule.protocol === 'icmp-echo'
      ? []
      : rule.ports.flatMap((range) =>
          portsOf(range, { clause: rule.clause, protocol: rule.protocol as 'tcp' | 'udp' }),
        ),
  )
}

const portsOf = (range: { readonly from: number; readonly to: number }, of: Omit<Opening, 'port'>): Opening[] =>
  Array.from({ length: range.to - range.from + 1 }, (_, i) => ({ ...of, port: range.from + i }))

/** A signed grant opens exactly this reserved address, for a port that the name is granted for (design section 5, step 6). */
const isOpened = (at: WorkspacePlan, rules: readonly NameRule[], ip: Ip): boolean =>
  rules.some((rule) =>
    rule.ports.some(({ from }) => grantIndex(at).find('egress', rule.protocol, ip, from, true) !== undefined),
  )

const isWithin = (within: readonly string[], ip: Ip): boolean =>
  within.length === 0 ||
  within.some((text) => {
    const prefix = parsePrefix(text)?.prefix
    return prefix !== undefined && inPrefix(ip, prefix)
  })
