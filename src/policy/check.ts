// One document on its own, for `policy check` and for editors: which kind it is, whether it would be accepted, and every
// finding. What only a whole bundle shows (members that nobody names, pins for names of a SandboxPolicy) is normalize.ts's.

import { LIMITS } from '../base/limits.js'
import { compareNotes, hasErrors, type Note } from '../base/note.js'
import { readYaml } from '../base/yaml.js'
import { documentKind } from './document-kind.js'
import { readFencePolicy } from './fence-policy/parse.js'
import { foldPolicy } from './fold.js'
import { readSandboxPolicy, type SandboxOptions } from './sandbox-policy/parse.js'

export interface DocumentCheck {
  /** True exactly when no note is an error. */
  readonly accepted: boolean
  readonly kind: 'SandboxPolicy' | 'FencePolicy'
  readonly notes: readonly Note[]
}

/** `options` are for a SandboxPolicy; a FencePolicy has one reading. */
export function checkDocument(bytes: Uint8Array, file: string, options: SandboxOptions): DocumentCheck {
  const yaml = readYaml(bytes, file, { bytes: LIMITS.memberBytes, nodes: LIMITS.documentNodes })
  if (documentKind(yaml).kind !== 'FencePolicy') {
    const { notes } = readSandboxPolicy(yaml, file, options)
    return { accepted: !hasErrors(notes), kind: 'SandboxPolicy', notes }
  }
  const { policy, notes } = readFencePolicy(yaml, bytes.length, file)
  const advice = policy && !policy.sandboxPolicy ? foldPolicy(policy, undefined).notes : []
  return { accepted: !hasErrors(notes), kind: 'FencePolicy', notes: [...notes, ...advice].sort(compareNotes) }
}
