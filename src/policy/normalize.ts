// The policy members of a bundle -> policies, ready to be compiled. Each FencePolicy is parsed, the SandboxPolicy that it
// names is folded in, and every member must be one or the other: a member that nothing names would be signed and mean
// nothing, which its author cannot have wanted. All findings of all members at once.

import { LIMITS } from '../base/limits.js'
import { compareNotes, hasErrors, type Note } from '../base/note.js'
import { quote } from '../base/quote.js'
import { readYaml, type YamlResult } from '../base/yaml.js'
import type { PolicyCode } from './codes.js'
import { documentKind } from './document-kind.js'
import type { FencePolicy } from './fence-policy/model.js'
import { readFencePolicy } from './fence-policy/parse.js'
import { foldPolicy } from './fold.js'
import type { Policy } from './model.js'
import type { SandboxPolicy } from './sandbox-policy/model.js'
import { readSandboxPolicy } from './sandbox-policy/parse.js'

export interface NormalizeResult {
  /** Present exactly when no note is an error; sorted by file. */
  readonly policies?: readonly Policy[]
  readonly notes: readonly Note[]
}

export function normalizePolicies(members: ReadonlyMap<string, Uint8Array>): NormalizeResult {
  const notes: Note[] = []
  const fences: FencePolicy[] = []
  const plain = new Map<string, YamlResult>()
  const references: Reference[] = []
  let certain = true
  for (const [path, bytes] of [...members].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const yaml = readYaml(bytes, path, { bytes: LIMITS.memberBytes, nodes: LIMITS.documentNodes })
    const kind = documentKind(yaml)
    if (kind.kind === 'FencePolicy') {
      const result = readFencePolicy(yaml, bytes.length, path)
      notes.push(...result.notes)
      if (result.policy) fences.push(result.policy)
      if (result.reference) references.push({ file: path, ...result.reference })
      if (!result.policy && !result.reference) certain = false
    } else if (kind.kind === 'other')
      notes.push(
        memberNote(
          'unknown-kind',
          path,
          `documents of kind ${quote(kind.name)} are not evaluated here; a bundle holds FencePolicy documents and the SandboxPolicy files that they name`,
        ),
      )
    else {
      plain.set(path, yaml)
      if (kind.kind === 'unreadable') certain = false
    }
  }
  notes.push(...checkTogether(fences))
  const carried = readCarried(references, plain, notes)
  const policies = fences.map((fence) => {
    const folded = foldPolicy(fence, carried.get(fence.file))
    if (!fence.sandboxPolicy || carried.has(fence.file)) notes.push(...folded.notes)
    return folded.policy
  })
  for (const [path, yaml] of plain) {
    if (references.some((reference) => reference.path === path)) continue
    // What an unreadable document would have named is not known; only what it says itself is certain.
    if (certain) notes.push(memberNote('unnamed-member', path, UNNAMED))
    else notes.push(...yaml.notes)
  }
  const sorted = dedupe(notes)
  if (hasErrors(sorted)) return { notes: sorted }
  return { policies, notes: sorted }
}

const UNNAMED =
  'no FencePolicy names this document in sandboxPolicy.path, so it would mean nothing; name it, or take it out of the bundle'

const memberNote = (code: PolicyCode, file: string, say: string): Note => ({
  code,
  severity: 'error',
  file,
  line: 0,
  column: 0,
  path: '',
  say,
})

type Reference = NonNullable<FencePolicy['sandboxPolicy']> & { readonly file: string }

/** The SandboxPolicies that are named, by the file of the FencePolicy that names them; also where that one is refused. */
function readCarried(
  references: readonly Reference[],
  plain: ReadonlyMap<string, YamlResult>,
  notes: Note[],
): Map<string, SandboxPolicy> {
  const carried = new Map<string, SandboxPolicy>()
  for (const { file, path, profile, role, origin } of references) {
    const yaml = plain.get(path)
    if (yaml) {
      const result = readSandboxPolicy(yaml, path, { profile, role })
      notes.push(...result.notes)
      if (result.policy) carried.set(file, result.policy)
    } else {
      const say = `the bundle has no SandboxPolicy ${quote(path)}; add the member or mend the path`
      const { line, column } = origin
      notes.push({ code: 'missing-member', severity: 'error', file, line, column, path: origin.path, say })
    }
  }
  return carried
}

/** Names are unique in a bundle, and no two policies list one workspace in the same words. */
function checkTogether(fences: readonly FencePolicy[]): Note[] {
  const notes: Note[] = []
  const names = new Map<string, string>()
  const workspaces = new Map<string, string>()
  const claim = (taken: Map<string, string>, what: string, value: string, file: string): void => {
    const earlier = taken.get(value)
    if (earlier === undefined) taken.set(value, file)
    else notes.push(memberNote('applies-twice', file, `${what} ${quote(value)} is taken by ${quote(earlier)} already`))
  }
  for (const fence of fences) {
    claim(names, 'the policy name', fence.name, fence.file)
    for (const workspace of fence.appliesTo) claim(workspaces, 'the workspace entry', workspace, fence.file)
  }
  return notes
}

/** Two FencePolicies may name one SandboxPolicy; what is wrong with it is said once. */
function dedupe(notes: readonly Note[]): Note[] {
  const seen = new Set<string>()
  return [...notes].sort(compareNotes).filter((note) => {
    const key = JSON.stringify(note)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}
