// Which of the two documents a YAML tree is. A FencePolicy says so in `kind`; a SandboxPolicy has no `kind` (design
// section 4), so everything without one is taken for it and judged by its keys.

import { nearest } from '../base/suggest.js'
import type { YamlNode, YamlResult } from '../base/yaml.js'
import { KIND } from './fence-policy/model.js'

export type DocumentKind =
  | { readonly kind: 'FencePolicy' | 'SandboxPolicy' | 'unreadable' }
  /** Says that it is something else. */
  | { readonly kind: 'other'; readonly name: string }

export function documentKind(yaml: YamlResult): DocumentKind {
  const root = yaml.root ?? yaml.repeated
  if (!root) return { kind: 'unreadable' }
  const kind = member(root, 'kind')
  const version = member(root, 'apiVersion')
  if (kind === undefined && version === undefined) return { kind: 'SandboxPolicy' }
  // A misspelt kind is still meant as one, and its own parser says so best.
  const meant = kind === undefined || nearest(kind, [KIND]) !== undefined
  if (meant || version?.startsWith('sluice.dev/') === true) return { kind: 'FencePolicy' }
  return { kind: 'other', name: kind }
}

function member(root: YamlNode, key: string): string | undefined {
  if (root.kind !== 'map') return undefined
  const value = root.entries.findLast((entry) => entry.key === key)?.value
  if (value === undefined) return undefined
  return value.kind === 'scalar' ? String(value.value) : ''
}
