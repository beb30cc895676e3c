// `subjects` of an inventory entry: who the workspace belongs to, in the words of whoever sends security events. Under each member a
// list of identifiers (RFC 9493), any of which names it:
//
//   subjects:
//     user: [{format: iss_sub, iss: "https://idp.example.com/", sub: jane}, {format: email, email: jane@example.com}]
//     session: [{format: opaque, id: s-4711}]
//
// A format that nobody knows could never match, so it is an error here.

import type { Json } from '../base/canonical.js'
import { nearest } from '../base/suggest.js'
import { joinPath, type Place, type YamlNode } from '../base/yaml.js'
import {
  type Identity,
  isSubjectMember,
  readIdentities,
  SUBJECT_FORMATS,
  SUBJECT_MEMBERS,
  type SubjectMember,
  type Subjects,
} from './subject.js'

export const SUBJECTS_PER_MEMBER = 64

type Report = (at: Place, code: string, path: string, say: string, suggestion?: string) => void

/** Every finding is reported; what is left is what could be read. */
export function parseSubjects(node: YamlNode, path: string, report: Report): Subjects {
  const out: Partial<Record<SubjectMember, readonly Identity[]>> = {}
  if (node.kind !== 'map') {
    report(node, 'bad-type', path, 'subjects is a mapping of members such as user, device and session')
    return out
  }
  for (const { key, at, value } of node.entries) {
    const here = joinPath(path, key)
    if (isSubjectMember(key)) out[key] = parseMember(value, here, report)
    else {
      const near = nearest(key, SUBJECT_MEMBERS)
      const say = `a member is one of ${SUBJECT_MEMBERS.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`
      report(at, 'unknown-key', here, say, near)
    }
  }
  return out
}

function parseMember(node: YamlNode, path: string, report: Report): readonly Identity[] {
  if (node.kind !== 'seq' || node.items.length === 0 || node.items.length > SUBJECTS_PER_MEMBER) {
    report(node, 'bad-type', path, `a list of 1 to ${SUBJECTS_PER_MEMBER} identifiers is expected`)
    return []
  }
  return node.items.flatMap((item, i) => {
    const here = `${path}[${i}]`
    const value = plain(item)
    const format = value?.format
    if (value === undefined || typeof format !== 'string') {
      report(item, 'bad-type', here, 'an identifier is a mapping of texts with a format')
      return []
    }
    if (!SUBJECT_FORMATS.has(format)) {
      const formats = [...SUBJECT_FORMATS.keys()]
      report(item, 'bad-value', `${here}.format`, `format is one of ${formats.join(', ')}`, nearest(format, formats))
      return []
    }
    const identities = readIdentities(value)
    if (typeof identities !== 'string') return identities
    report(item, 'bad-value', here, identities)
    return []
  })
}

function plain(node: YamlNode): { readonly [name: string]: Json } | undefined {
  if (node.kind !== 'map') return undefined
  const out = Object.create(null) as Record<string, Json>
  for (const { key, value } of node.entries) {
    if (value.kind !== 'scalar' || typeof value.value !== 'string') return undefined
    out[key] = value.value
  }
  return out
}
