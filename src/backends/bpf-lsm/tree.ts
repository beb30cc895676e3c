// What rules say of paths, as trees of names for the kernel: a node for each path that a rule speaks of or that leads there, numbered
// through a plan, with the rights of its own rules. Where a volume lies is found when the plan is staged (volumes.ts).
//
// Refuses nothing: a name that the maps have no room for is named, and the stage refuses.

import { utf8 } from '../../base/bytes.js'
import type { FileAccess, FileRule } from '../../plan/model.js'
import { segmentsOf } from '../../plan/volume-path.js'

/** Octets of a name that the kernel compares, with the NUL (guard.h). */
export const NAME_OCTETS = 128
/** Bits of a node's rights, and what each is by its place. */
export const RIGHT = { deny: 1, 'read-only': 2, 'read-write': 4 } as const
export const RIGHT_NAMES = ['deny', 'read-only', 'read-write'] as const

export interface TreeNode {
  /** From 1. */
  readonly number: number
  readonly rights: number
  /** Something that may be read lies here or below. */
  readonly leads: boolean
}
export interface Named extends TreeNode {
  /** The number of the node above. */
  readonly above: number
  readonly name: string
}
export interface Tree {
  readonly root: TreeNode
  readonly below: readonly Named[]
  /** By number of node and right; what a verdict names. */
  readonly clauses: Readonly<Record<number, Partial<Record<FileAccess, string>>>>
  /** Names that are longer than the kernel compares. */
  readonly tooLong: readonly string[]
}

interface Segment {
  readonly below: Map<string, Segment>
  readonly rules: FileRule[]
}

/** Numbers nodes from `first` on. */
export function treeOf(rules: readonly FileRule[], first: number): Tree {
  const top: Segment = { below: new Map(), rules: [] }
  for (const rule of rules) {
    let at = top
    for (const name of segmentsOf(rule.path) ?? []) {
      const next = at.below.get(name) ?? { below: new Map(), rules: [] }
      at.below.set(name, next)
      at = next
    }
    at.rules.push(rule)
  }
  const [below, tooLong]: [Named[], string[]] = [[], []]
  const clauses: Record<number, Partial<Record<FileAccess, string>>> = {}
  let next = first
  const take = (segment: Segment): TreeNode => {
    const number = next++
    const said: Partial<Record<FileAccess, string>> = {}
    for (const { access, clauses: by } of segment.rules) if (by[0] !== undefined) said[access] = by[0]
    if (segment.rules.length > 0) clauses[number] = said
    const rights = segment.rules.reduce((bits, { access }) => bits | RIGHT[access], 0)
    return { number, rights, leads: leadsOf(segment) }
  }
  const walk = (segment: Segment, above: number): void => {
    for (const [name, child] of [...segment.below].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const node = take(child)
      if (utf8(name).length >= NAME_OCTETS) tooLong.push(name)
      below.push({ ...node, above, name })
      walk(child, node.number)
    }
  }
  const root = take(top)
  walk(top, root.number)
  return { root, below, clauses, tooLong }
}

/** Above it nothing denies, or the kernel's walk would have ended in that. */
function leadsOf(segment: Segment): boolean {
  if (segment.rules.some(({ access }) => access === 'deny')) return false
  return segment.rules.length > 0 || [...segment.below.values()].some(leadsOf)
}
