// From the storage slices of a plan to one table: a tree of path segments for each volume, children sorted by octets and laid
// out behind their parents, so that the authorizer can check it in one pass and walk it without asking.

import { concat, utf8 } from '../base/bytes.js'
import type { FileRule, PlanSlice, VolumePlan } from '../plan/model.js'
import { segmentsOf } from '../plan/volume-path.js'
import { CLAUSE_AT, RIGHT, STRUCTS, TERM, VAULT_ABI, VAULT_MAGIC } from './layout.js'
import type { ServedVolume, VaultProgram } from './program.js'

export function lower(slice: PlanSlice): VaultProgram {
  const volumes: ServedVolume[] = slice.workspaces.flatMap(({ workspace, onExpiry, storage }) =>
    (storage?.volumes ?? []).map((volume) => ({ workspace, onExpiry, volume })),
  )
  return {
    generation: slice.generation,
    planDigest: slice.planDigest,
    deadlineMs: slice.source.expiresAtMs,
    workspaces: slice.workspaces.map(({ workspace }) => workspace),
    volumes,
    table: new Table(volumes).bytes(slice),
  }
}

/** A segment of a path that rules speak of. */
interface Segment {
  readonly name: Uint8Array
  readonly below: Map<string, Segment>
  readonly rules: FileRule[]
}

/** Where a piece of text stands, and how long it is. */
type Text = readonly [at: number, length: number]

class Table {
  private readonly nodes: { name: Text; child: number; segment: Segment; leads: boolean }[] = []
  private readonly roots: number[]
  private readonly texts: Uint8Array[] = []
  private readonly placed = new Map<string, Text>()
  private textSize = 0

  constructor(private readonly volumes: readonly ServedVolume[]) {
    // A table without volumes has a text too.
    this.text(utf8(''))
    this.roots = volumes.map(({ volume }) => this.layOut(treeOf(volume)))
  }

  bytes(slice: PlanSlice): Uint8Array {
    const { vault_header: header, vault_volume: row, vault_node: node } = STRUCTS
    const rows = this.volumes.map(({ workspace, volume, onExpiry }, i) => ({
      texts: [workspace, volume.name, volume.source, volume.mount].map((text) => this.text(utf8(text))),
      root: this.roots[i] ?? 0,
      terms: (onExpiry === 'hold' ? TERM.holds : 0) | (volume.openFiles === 'until-closed' ? TERM.lasts : 0),
    }))
    const clauses = this.nodes.map(({ segment }) => {
      const at: Text[] = [this.text(utf8('')), this.text(utf8('')), this.text(utf8(''))]
      for (const rule of segment.rules) at[CLAUSE_AT[rule.access]] = this.text(utf8(rule.clauses[0] ?? ''))
      return at
    })
    // Padded, so that its end is aligned like its beginning.
    const fixed = header.size + rows.length * row.size + this.nodes.length * node.size
    while ((fixed + this.textSize) % 8 !== 0) this.push(new Uint8Array(1))
    const size = fixed + this.textSize
    const out = new Uint8Array(size)
    const view = new DataView(out.buffer)
    const put = (at: number, value: number): void => view.setUint32(at, value, true)
    const putText = (at: number, [place, length]: Text): void => {
      put(at, place)
      put(at + 4, length)
    }
    put(header.fields.magic, VAULT_MAGIC)
    put(header.fields.abi, VAULT_ABI)
    view.setBigUint64(header.fields.generation, BigInt(slice.generation), true)
    for (let i = 0; i < 32; i++)
      out[header.fields.digest + i] = Number.parseInt(slice.planDigest.slice(7 + 2 * i, 9 + 2 * i) || '0', 16)
    view.setBigInt64(header.fields.deadline_ms, BigInt(slice.source.expiresAtMs), true)
    put(header.fields.volumes, rows.length)
    put(header.fields.nodes, this.nodes.length)
    put(header.fields.text, this.textSize)
    put(header.fields.size, size)
    let at: number = header.size
    for (const { texts, root, terms } of rows) {
      for (const [i, text] of texts.entries()) putText(at + 8 * i, text)
      put(at + row.fields.root, root)
      put(at + row.fields.terms, terms)
      at += row.size
    }
    for (const [i, { name, child, segment, leads }] of this.nodes.entries()) {
      putText(at + node.fields.name, name)
      put(at + node.fields.child, child)
      put(at + node.fields.children, segment.below.size)
      put(
        at + node.fields.rights,
        segment.rules.reduce((bits, rule) => bits | RIGHT[rule.access], 0),
      )
      put(at + node.fields.leads, leads ? 1 : 0)
      for (const [j, text] of (clauses[i] ?? []).entries()) putText(at + node.fields.clause + 8 * j, text)
      at += node.size
    }
    out.set(concat(this.texts), at)
    return out
  }

  /** Level by level: the children of one node stand together, and behind it. */
  private layOut(root: Segment): number {
    const first = this.nodes.length
    this.nodes.push({ name: this.text(root.name), child: 0, segment: root, leads: leadsOf(root) })
    for (let i = first; i < this.nodes.length; i++) {
      const node = this.nodes[i]
      if (!node) break
      node.child = this.nodes.length
      for (const segment of [...node.segment.below.values()].sort((a, b) => compareOctets(a.name, b.name)))
        this.nodes.push({ name: this.text(segment.name), child: 0, segment, leads: leadsOf(segment) })
    }
    return first
  }

  /** The same text stands once. */
  private text(octets: Uint8Array): Text {
    const key = octets.join()
    const held = this.placed.get(key)
    if (held) return held
    const text: Text = [this.textSize, octets.length]
    this.placed.set(key, text)
    this.push(octets)
    this.push(new Uint8Array(1))
    return text
  }

  private push(octets: Uint8Array): void {
    this.texts.push(octets)
    this.textSize += octets.length
  }
}

function treeOf(volume: VolumePlan): Segment {
  const root: Segment = { name: utf8(''), below: new Map(), rules: [] }
  for (const rule of volume.rules) {
    let at = root
    for (const name of segmentsOf(rule.path) ?? []) {
      const next = at.below.get(name) ?? { name: utf8(name), below: new Map(), rules: [] }
      at.below.set(name, next)
      at = next
    }
    at.rules.push(rule)
  }
  return root
}

/** Does something that may be read lie here or below? Above it nothing denies, or the walk would have ended there. */
function leadsOf(segment: Segment): boolean {
  if (segment.rules.some(({ access }) => access === 'deny')) return false
  return segment.rules.length > 0 || [...segment.below.values()].some(leadsOf)
}

function compareOctets(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return (a[i] ?? 0) - (b[i] ?? 0)
  return a.length - b.length
}
