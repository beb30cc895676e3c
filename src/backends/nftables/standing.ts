// What stands in the kernel, by the kernel's own word: who is attached where, with which addresses and grants. For when the record
// cannot say it, because it is lost or older than what is live: a crash came between a switch and its record. Names of
// workspaces are comments of set elements, of which the kernel keeps 127 octets.

import { type Digest, isDigest } from '../../base/digest.js'
import { parsePrefix, prefixRange } from '../../base/ip.js'
import { parsePorts } from '../../base/ports.js'
import type { Protocol } from '../../policy/model.js'
import { nftablesFault } from './errors.js'
import type { Line } from './line.js'
import { type FlowGrant, namePrefix } from './program.js'
import { elementsOf, type ReadElement } from './readback.js'
import { readRuleset } from './ruleset.js'
import { TABLE } from './scaffold.js'
import type { Place, Session } from './session.js'

export interface Standing {
  readonly generation: number
  readonly planDigest: Digest | null
}

/** A place with what flows are judged by (flows.ts); the digests of clauses are not in the kernel, their marks are. */
export interface JudgedPlace extends Place {
  readonly clauses: readonly { readonly mark: number }[]
  readonly flowGrants: readonly FlowGrant[]
  readonly services: readonly string[]
}

/** Elements of a set; none where it, or the table, is not there. */
const read = (session: Session, name: string, kind: 'set' | 'map' = 'set'): Promise<readonly ReadElement[]> =>
  session.reader.list(`list ${kind} inet ${TABLE} ${name}`).then(elementsOf, () => [])

/** null: nothing of ours is live. */
export async function readStanding(session: Session): Promise<Standing | null> {
  const [gen] = await read(session, 'gen')
  if (!gen) return null
  const { comment = '' } = gen
  return { generation: Number(gen.key), planDigest: isDigest(comment) ? comment : null }
}

/** Whether this generation is the live one, asked of the kernel by itself: another process may have switched. */
export const isStanding = (generation: number, line: Line): boolean => askStanding(generation, line) === 1

/** As `isStanding`, for whoever would take an answer that did not come for an absence. Throws NFT_READ. */
export function requireStanding(generation: number, line: Line): boolean {
  const there = askStanding(generation, line)
  if (there < 0) throw nftablesFault('NFT_READ', { what: 'gen', why: `errno ${-there}` })
  return there === 1
}

/** 1, 0, or a negative errno. A mark is a key in the machine's own order. */
const askStanding = (generation: number, line: Line): number =>
  line.ask('gen', new Uint8Array(Uint32Array.of(generation).buffer))

/** Who is attached where, with own addresses. */
export async function readPlaces(session: Session): Promise<readonly Place[]> {
  const own = [...(await read(session, 'dst4')), ...(await read(session, 'dst6'))].map(({ key }) => key.split(' . '))
  return (await read(session, 'attached')).map(({ key, comment }) => ({
    workspace: comment ?? key,
    interface: key,
    addresses: own.flatMap(([name, address = '']) => (name === key ? [address] : [])),
  }))
}

/** The places with the grants of the generation that is live, read from its sets. */
export async function readJudged(session: Session): Promise<readonly JudgedPlace[]> {
  const places = await readPlaces(session)
  const services = [...(await read(session, 'svc4')), ...(await read(session, 'svc6'))].map(({ key }) =>
    key.split(' . '),
  )
  const leads = await read(session, 'from_ws', 'map')
  const sets = (await readRuleset('inet')).flatMap(({ set }) => (set ? [set.name] : []))
  const judged: JudgedPlace[] = []
  for (const place of places) {
    const lead = leads.find(({ key }) => key === place.interface)?.value ?? ''
    const prefix = /^goto (w\d+_g[^_]+_)from$/.exec(lead)?.[1]
    const flowGrants: FlowGrant[] = []
    let clauses: readonly { readonly mark: number }[] = []
    for (const name of prefix === undefined ? [] : sets.filter((set) => set.startsWith(prefix))) {
      const elements = await read(session, name)
      const letters = name.slice(prefix?.length)
      if (letters === 'c') clauses = elements.map(({ key }) => ({ mark: Number(key) }))
      else flowGrants.push(...elements.flatMap(({ key }) => grantOf(letters, key) ?? []))
    }
    judged.push({
      ...place,
      clauses,
      flowGrants,
      services: services.flatMap(([name, ...rest]) => (name === place.interface ? [rest.join(' ')] : [])),
    })
  }
  return judged
}

/** What a workspace of the record lets in, with and without a session. */
export async function readComing(session: Session, { interface: name }: Place): Promise<readonly FlowGrant[]> {
  const { live } = session
  const index = live?.workspaces.findIndex((one) => one.interface === name) ?? -1
  if (!live || index < 0) return []
  const prefix = namePrefix(index, live.generation, live.tag)
  const names = Object.keys(live.elements).filter((one) => one.startsWith(prefix))
  const coming = names.map((one) => one.slice(prefix.length)).filter((letters) => /^[ijst][xr]/.test(letters))
  const grants: FlowGrant[] = []
  for (const letters of coming)
    grants.push(...(await read(session, prefix + letters)).flatMap(({ key }) => grantOf(letters, key) ?? []))
  return grants
}

/** The letters of a set's name are workspace.ts's: whose direction, echo or ports, and whether it opens reserved addresses. */
function grantOf(letters: string, key: string): FlowGrant | undefined {
  const parts = /^([eijopst]?)([xr])[46]/.exec(letters)
  const [address = '', protocol, ports] = key.split(' . ')
  const prefix = parsePrefix(address)?.prefix
  if (!parts || !prefix) return undefined
  const [, letter, kind] = parts
  const range = ports === undefined ? { from: 0, to: 65_535 } : parsePorts(ports)
  if (!range) return undefined
  return {
    direction: /[ijst]/.test(letter ?? '') ? 'ingress' : 'egress',
    protocol: (protocol ?? 'icmp-echo') as Protocol,
    range: prefixRange(prefix),
    from: range.from,
    to: range.to,
    opens: letter !== '' || kind === 'x',
    ...(letter === 's' || letter === 't' ? { session: true as const } : {}),
  }
}
