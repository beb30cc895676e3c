// Which rules of a workspace admit a name, and which name clauses no mediator can ever carry out, with the reason: both are
// values and decided here once, for the mediator, for `compile`, which refuses such a clause, and for `explain`.
//
// A wildcard never crosses a public suffix: it would hand the choice of the peer to whoever registers a name. The public
// suffix list is data of a size and pace that pure code should not carry, so the test is a narrower one: at least two plain
// labels after the last star, and those two not of the shape that registries use (`co.uk`, `com.au`).

import { parsePrefix } from '../base/ip.js'
import type { PortRange } from '../base/ports.js'
import { prefixClass } from '../base/reserved.js'
import { hostMatches, isBlockedName } from '../policy/host-pattern.js'
import type { Protocol } from '../policy/model.js'
import type { NameRule, NetworkSlice } from './model.js'
import { observedNames } from './observe.js'

/** One learned grant is one port: a name with a wide range of them would be thousands of grants for each address. */
export const MAX_NAME_PORTS = 64

/** Second-level labels below which registries of countries hand out names. */
const REGISTRY_LABELS: ReadonlySet<string> = new Set(
  'ac co com ed edu firm gen go gob gouv gov govt gv id ind info ltd me mil ne net nhs nom or org plc police sch web'.split(
    ' ',
  ),
)

/** Why a wildcard is too broad to be learnt by, as a sentence part; undefined when it is not. */
export function broadWildcard(pattern: string): string | undefined {
  const labels = pattern.split('.')
  const last = labels.findLastIndex((label) => label.includes('*'))
  const tail = labels.slice(last + 1)
  if (last < 0) return undefined
  if (tail.length < 2) return 'fewer than two plain labels stand after its last star'
  const [second = '', top = ''] = tail.slice(-2)
  if (tail.length === 2 && top.length === 2 && REGISTRY_LABELS.has(second))
    return `${second}.${top} is a registry's own suffix, below which anybody can have a name`
  return undefined
}

/** Why no address can be learnt for a name of a clause; undefined when one can. */
export function unlearnable(target: {
  readonly pattern: string
  readonly protocol: Protocol
  readonly ports: readonly PortRange[]
  readonly within: readonly string[]
}): string | undefined {
  const { pattern, protocol, ports, within } = target
  if (protocol === 'icmp-echo') return 'learned addresses carry TCP and UDP only'
  if (isBlockedName(pattern)) return 'it stands for this machine or for cloud metadata'
  const count = ports.reduce((sum, range) => sum + range.to - range.from + 1, 0)
  if (count > MAX_NAME_PORTS) return `it has ${count} ports, and a learned address takes at most ${MAX_NAME_PORTS}`
  if (within.length > 0 && within.every((text) => !reachesPublic(text)))
    return 'every address in allowed_ips is reserved, and an answer never opens a reserved one'
  const broad = broadWildcard(pattern)
  return broad === undefined ? undefined : `the wildcard is too broad: ${broad}`
}

const reachesPublic = (text: string): boolean => {
  const prefix = parsePrefix(text)?.prefix
  return prefix !== undefined && prefixClass(prefix) === 'public'
}

/** The rules that admit a name: lower case, no trailing dot. Exact rules first. A blocked name is admitted by none. */
export function rulesFor(network: NetworkSlice, name: string): readonly NameRule[] {
  if (isBlockedName(name)) return []
  const matching = [...network.names, ...observedNames(network)].filter((rule) =>
    rule.wildcard
      ? broadWildcard(rule.pattern) === undefined && hostMatches(rule.pattern, name)
      : rule.pattern === name,
  )
  return matching.sort((a, b) => Number(a.wildcard) - Number(b.wildcard))
}

/** Signed addresses of a name; undefined when it has none. */
export const pinsOf = (network: NetworkSlice, name: string): readonly string[] | undefined =>
  network.dns?.pins.find((pin) => pin.name === name)?.addresses
