// Observe: what is live, read from the kernel and compared with the record of what was put there. Every difference is drift,
// one sentence each: a missing table, chains or rules that are not ours, elements that came or went, an interface without
// its link layer or without the deny floor. Counters come back by grant.

import { readFile } from 'node:fs/promises'
import { isDigest } from '../../base/digest.js'
import { parsePorts } from '../../base/ports.js'
import { grantId } from '../../plan/grants.js'
import type { GrantId, LearnedGrant } from '../../plan/model.js'
import { DROP_REASONS } from '../../plan/state.js'
import type { Protocol } from '../../policy/model.js'
import type { Flagged, GrantCounter, Observed } from '../backend.js'
import { elementsDigest, LOOSE } from './commit.js'
import { readTuples, type Tuples } from './kernel-set.js'
import type { NftObject } from './libnftables.js'
import { listLinks } from './native.js'
import { placeDrift } from './places.js'
import { elementsOf, type ReadElement } from './readback.js'
import { exactFamily, type LiveRecord, livePattern, STATE_NAME } from './record.js'
import { isComparable, type KernelObject, readRuleset, structureDigest } from './ruleset.js'
import { counterName, OBSERVED_COUNTER, TABLE } from './scaffold.js'
import { linkChain, TABLE_FAMILIES, type TableFamily } from './script.js'
import type { Session } from './session.js'
import { readOpen, sessionsOf } from './sessions.js'

/**
 * Throws NFT_READ when the kernel cannot be asked at all. A listing taken while a transaction is under way may hold things
 * twice or not at all: drift is believed when it is still seen with nothing of ours in flight.
 */
export async function observe(session: Session): Promise<Observed> {
  const seen = await look(session)
  return seen.drift.length === 0 ? seen : session.lane.run(() => look(session))
}

async function look(session: Session): Promise<Observed> {
  const { reader } = session
  const record = session.live
  const found = await readStructures()
  const tables = new Set(TABLE_FAMILIES.filter((family) => found[family].length > 0))
  const drift: string[] = []
  for (const family of TABLE_FAMILIES) if (record && !tables.has(family)) drift.push(`table ${family} ${TABLE} is gone`)
  const drops: Record<string, bigint> = { 'deny-floor': session.floor.drops() }
  if (!tables.has('inet')) return { live: null, drift: [...drift, ...floorDrift(session)], counters: [], drops }
  const { inet, netdev, bridge } = found
  const counting = [...inet, ...netdev, ...bridge]
  session.reckoning.looked(counting, Date.now())
  Object.assign(drops, dropsOf(counting))
  const list = async (name: string): Promise<ReadElement[] | undefined> => {
    const kind = name.endsWith('_ws') ? 'map' : 'set'
    // It went away since the structure was read, or a foreign flush took it: the structure says so.
    return reader.list(`list ${kind} inet ${TABLE} ${name}`).then(elementsOf, () => undefined)
  }
  const read = async (name: string): Promise<ReadElement[]> => (await list(name)) ?? []
  const [gen] = await read('gen')
  const counters: GrantCounter[] = []
  if (record) {
    drift.push(...structureDrift(inet, netdev, record))
    for (const { key, expiresS } of await read('observing'))
      if (expiresS === undefined) drift.push(`interface ${key} is observed without an end, and nobody asked for it`)
    drift.push(...attachmentDrift(record, await read('attached'), await read('from_ws')))
    for (const name of Object.keys(record.elements)) {
      const family = exactFamily(name)
      const held = family ? await readTuples(name, family, session.sizes) : await list(name).then(heldOf(name))
      if (!held) continue
      if (held.digest !== record.elements[name])
        drift.push(`set ${name} does not hold the elements that were put there`)
      counters.push(...countersOf(record, name, held.moved))
    }
    if (session.staged.size === 0)
      for (const name of session.sizes.keys()) if (!(name in record.elements)) session.sizes.delete(name)
    drift.push(...placeDrift(record.workspaces.map((one) => one.interface)))
    drift.push(...floorDrift(session), ...(await conntrackDrift()))
  } else if (gen) drift.push('nothing on record vouches for what is live')
  if (session.damaged !== undefined)
    drift.push(`${STATE_NAME} cannot be used, and what is live is read from the kernel: ${session.damaged}`)
  if (!gen?.comment || !isDigest(gen.comment)) {
    if (record) drift.push('the generation is not in the kernel')
    return { live: null, drift, counters, drops }
  }
  if (record && (Number(gen.key) !== record.generation || gen.comment !== record.planDigest))
    drift.push(`generation ${gen.key} is live, and ${record.generation} was put there`)
  const flags = await flagsOf(record, read)
  return {
    live: {
      generation: Number(gen.key),
      planDigest: gen.comment,
      ...flags,
      learned: learnedOf(session),
      sessions: sessionsOf(session, await readOpen(session)),
    },
    drift,
    counters,
    drops,
    observed: observedOf(inet),
  }
}

/** Who is attached and who is flagged; no set of grants is read. Throws as `observe`. */
export async function flagged(session: Session): Promise<Flagged | null> {
  const read = (name: string): Promise<ReadElement[]> =>
    session.reader.list(`list set inet ${TABLE} ${name}`).then(elementsOf, () => [])
  const [gen] = await read('gen')
  // There is no table, or the kernel refuses: a whole look tells which.
  if (!gen) return (await observe(session)).live
  return { ...(await flagsOf(session.live, read)), sessions: sessionsOf(session, await readOpen(session)) }
}

async function flagsOf(record: LiveRecord | null, read: (name: string) => Promise<ReadElement[]>): Promise<Flagged> {
  const attached = await read('attached')
  const at = async (flag: string): Promise<string[]> => workspacesAt(record, await read(flag), attached)
  return {
    workspaces: workspacesAt(record, attached, attached),
    quarantined: await at('quarantined'),
    suspended: [...new Set([...(await at('suspended')), ...pastDeadline(record, await read('live'))])].sort(),
  }
}

/** What is compared of a set, and the elements that counted something. */
const heldOf =
  (name: string) =>
  (elements: readonly ReadElement[] | undefined): Tuples | undefined =>
    elements && {
      digest: elementsDigest(elements.map(({ key }) => writtenAs(name, key))),
      moved: elements.filter(({ packets }) => packets > 0n),
    }

/** Marks are written in hexadecimal and listed in decimal. */
const writtenAs = (set: string, key: string): string => (set.endsWith('_c') ? `0x${Number(key).toString(16)}` : key)

async function readStructures(): Promise<Record<TableFamily, readonly KernelObject[]>> {
  const [inet, netdev, arp, bridge] = await Promise.all([
    readRuleset('inet'),
    readRuleset('netdev'),
    readRuleset('arp'),
    readRuleset('bridge'),
  ])
  return { inet, netdev, arp, bridge }
}

/** By the record where there is one, else by the comment of the attached element. */
const workspacesAt = (
  record: LiveRecord | null,
  elements: readonly ReadElement[],
  attached: readonly ReadElement[],
): string[] =>
  elements
    .map(({ key }) => {
      const recorded = record?.workspaces.find((one) => one.interface === key)?.workspace
      return recorded ?? attached.find((one) => one.key === key)?.comment ?? key
    })
    .sort()

/** A workspace whose `live` element has run out is suspended, though nobody flagged it. */
const pastDeadline = (record: LiveRecord | null, live: readonly ReadElement[]): string[] =>
  (record?.workspaces ?? [])
    .filter((one) => !live.some(({ key }) => key === one.interface))
    .map(({ workspace }) => workspace)

function learnedOf(session: Session): LearnedGrant[] {
  const nowMs = Date.now()
  return [...session.learned.values()].flat().filter(({ expiresAtMs }) => expiresAtMs > nowMs)
}

function dropsOf(objects: readonly NftObject[]): Record<string, bigint> {
  const drops: Record<string, bigint> = {}
  for (const reason of DROP_REASONS) {
    const packets = objects.flatMap(({ counter }) => (counter?.name === counterName(reason) ? [counter.packets] : []))
    drops[reason] = packets.reduce((sum, count) => sum + BigInt(count), 0n)
  }
  return drops
}

const observedOf = (objects: readonly NftObject[]): bigint =>
  BigInt(objects.find(({ counter }) => counter?.name === OBSERVED_COUNTER)?.counter?.packets ?? 0)

function structureDrift(inet: readonly KernelObject[], netdev: readonly NftObject[], record: LiveRecord): string[] {
  const drift: string[] = []
  if (
    isComparable(record.structure) &&
    structureDigest(inet, livePattern(record.generation, record.tag)) !== record.structure
  )
    drift.push(`table inet ${TABLE} was changed: its chains, rules or sets are not the ones that were put there`)
  const present = new Set(listLinks().map(({ name }) => name))
  const chains = new Set(netdev.flatMap(({ chain }) => (chain ? [chain.name] : [])))
  for (const { interface: name } of record.workspaces)
    if (present.has(name) && !chains.has(linkChain(name))) drift.push(`interface ${name} has no link-layer chain`)
  return drift
}

function attachmentDrift(
  record: LiveRecord,
  attached: readonly ReadElement[],
  fromWs: readonly ReadElement[],
): string[] {
  const wanted = record.workspaces.map((one) => one.interface)
  const drift: string[] = []
  for (const { key } of attached)
    if (!wanted.includes(key)) drift.push(`interface ${key} is attached, and nobody attached it`)
  for (const name of wanted)
    if (!attached.some(({ key }) => key === name)) drift.push(`interface ${name} is not attached any more`)
  for (const [index, name] of wanted.entries()) {
    const found = fromWs.find(({ key }) => key === name)?.value ?? 'nothing'
    if (found !== `goto w${index}_g${record.generation}${record.tag}_from`)
      drift.push(`interface ${name} leads to ${found}`)
  }
  return drift
}

function floorDrift(session: Session): string[] {
  if (!session.live) return []
  return session.floor.missing().map((name) => `interface ${name} has no deny floor`)
}

async function conntrackDrift(): Promise<string[]> {
  const loose = await readFile(LOOSE, 'utf8').catch(() => '0') // conntrack is not loaded: it adopts nothing
  return loose.trim() === '0' ? [] : ['nf_conntrack_tcp_loose is not 0: conntrack adopts cut connections']
}

/** What the letters of a set's name say (workspace.ts): whose direction, and echo or ports. */
function countersOf(record: LiveRecord, name: string, elements: readonly ReadElement[]): GrantCounter[] {
  const parts = /^w(\d+)_g[^_]+_([eijopst]?)[xr][46]/.exec(name)
  const workspace = record.workspaces[Number(parts?.[1])]?.workspace
  if (!parts || workspace === undefined) return []
  const direction = /[ijst]/.test(parts[2] ?? '') ? 'ingress' : 'egress'
  return elements.map(({ key, packets, bytes }) => ({ workspace, grant: grantOf(direction, key), packets, bytes }))
}

/** A grant's id is the digest of what it says, so the element says it too. */
function grantOf(direction: 'egress' | 'ingress', key: string): GrantId {
  const [address = '', protocol, ports] = key.split(' . ')
  const prefix = address.includes('/') ? address : `${address}/${address.includes(':') ? 128 : 32}`
  const range = ports === undefined ? null : (parsePorts(ports) ?? null)
  return grantId(direction, (protocol ?? 'icmp-echo') as Protocol, prefix, range)
}
