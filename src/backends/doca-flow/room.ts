// How much a device holds, what one plan may need of it, and what does not fit. NVIDIA publishes no ceilings and no call gives
// them: what the library says (the emulator does) is taken, and what we reserve ourselves; the rest are the largest figures that
// samples use. A plan has half of it, because the next one is built beside it.

import { type Demand, type DocaWorkspace, demandOf } from './program.js'

/** Counters to reserve when the device is opened: it gives none later. */
export const COUNTERS = 1 << 20
/** Octets of action memory of a port, and what an ACL rule takes of them (NVIDIA's samples reckon 32 x 128). */
export const ACTION_MEMORY = 1 << 24
const RULE_MEMORY = 4096
/** Connections of each family that are tracked, and the bits of metadata that are their zone: a port of the device. Each has two
 * counters beside those of plans. */
export const CONNECTIONS = 1 << 16
export const CONNECTION_COUNTERS = 4 * CONNECTIONS
export const ZONES = 0xffff
/** Entries of each pipe that leads into workspaces: ports, IPv4 and IPv6 addresses. */
export const PARENTS = 4096

const SCAFFOLD: Demand = {
  workspaces: 0,
  addresses: 0,
  pipes: 9,
  entries: 9 * PARENTS,
  counters: 3 * PARENTS,
  rules: 0,
}
const ASSUMED = { pipes: 4096, entries: 1 << 22 }
/** Two plans never share these: the next one takes the entries of the one before. */
const HANDED_ON: readonly Kind[] = ['workspaces', 'addresses']

/** What the library says of itself. */
export interface Limits {
  readonly pipes: number
  readonly entries: number
}

type Kind = keyof Demand
const WORDS: Readonly<Record<Kind, string>> = {
  workspaces: 'workspaces',
  addresses: 'addresses of one family',
  pipes: 'pipes',
  entries: 'entries',
  counters: 'counters',
  rules: 'ACL rules',
}
const KINDS = Object.keys(WORDS) as readonly Kind[]

const byWord = (of: Demand): Record<string, number> => Object.fromEntries(KINDS.map((kind) => [WORDS[kind], of[kind]]))

/** 0 where the library says nothing. */
export const limitsOf = (said: Limits): Demand => ({
  workspaces: PARENTS,
  addresses: PARENTS,
  pipes: said.pipes || ASSUMED.pipes,
  entries: said.entries || ASSUMED.entries,
  counters: COUNTERS,
  rules: ACTION_MEMORY / RULE_MEMORY,
})

/** For `Probed`, in words. */
export const limitWords = (said: Limits): Record<string, number> => byWord(limitsOf(said))

/** What one plan may need, of limits in words. */
export const roomOf = (limits: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(
    KINDS.flatMap((kind) => {
      const limit = limits[WORDS[kind]]
      if (limit === undefined) return []
      const room = HANDED_ON.includes(kind) ? limit : Math.floor((limit - SCAFFOLD[kind]) / 2)
      return [[WORDS[kind], Math.max(0, room)]]
    }),
  )

/** In words, for `Backend.need`. */
export const needOf = (workspaces: readonly DocaWorkspace[]): Record<string, number> => byWord(demandOf(workspaces))

/** What does not fit beside what is live; undefined when everything does. */
export function overflow(
  limits: Demand,
  next: readonly DocaWorkspace[],
  live: readonly DocaWorkspace[],
): { readonly what: string; readonly wanted: number; readonly limit: number } | undefined {
  const [wanted, held] = [demandOf(next), demandOf(live)]
  for (const kind of KINDS) {
    const sum = wanted[kind] + (HANDED_ON.includes(kind) ? 0 : held[kind])
    if (sum > limits[kind]) return { what: WORDS[kind], wanted: sum, limit: limits[kind] }
  }
  return undefined
}
