// Storage volumes and process rules of a FencePolicy: paths in one spelling, and nothing that stands on two sides.

import { isDigest } from '../../base/digest.js'
import { quote } from '../../base/quote.js'
import type { Findings, Spot } from '../findings.js'
import { REACTIONS, SUSPECT_ACTIVITIES, type SuspectActivity } from '../model.js'
import type { Located } from '../shape.js'
import type { FencePolicy, FenceVolume } from './model.js'
import type { ProcessFound, VolumeFound } from './shape.js'

export function readVolumes(volumes: readonly VolumeFound[], findings: Findings): FenceVolume[] {
  const names = new Map<string, Spot>()
  return volumes.map((volume) => {
    const name = volume.of.name ?? ''
    const earlier = names.get(name)
    if (earlier && volume.has('name'))
      findings.note(
        'duplicate-name',
        volume.spot('name'),
        `the volume ${quote(name)} stands at line ${earlier.line} already; put its paths together`,
      )
    names.set(name, volume.spot('name'))
    if (!volume.has('read_only') && !volume.has('read_write') && !volume.has('deny'))
      findings.note(
        'empty-list',
        volume.at,
        `the volume ${quote(name)} lists no paths; add read_only, read_write or deny`,
      )
    const taken = new Set<string>()
    const paths = (entries: readonly Located<string>[] | undefined): string[] =>
      (entries ?? []).flatMap(({ value, at }) => {
        if (!isPath(value))
          findings.note('bad-path', at, `${quote(value)} is not a path such as /data/out, from the volume's root`)
        else if (taken.has(value)) findings.note('duplicate-value', at, `${quote(value)} stands twice in this volume`)
        else {
          taken.add(value)
          return [value]
        }
        return []
      })
    return {
      name,
      origin: findings.origin(volume.at),
      deny: paths(volume.of.deny).sort(),
      readOnly: paths(volume.of.read_only).sort(),
      readWrite: paths(volume.of.read_write).sort(),
      ...(volume.of.open_files === 'until-closed' ? { openFiles: 'until-closed' as const } : {}),
    }
  })
}

export function readProcess(section: ProcessFound | undefined, findings: Findings): FencePolicy['process'] {
  if (!section) return undefined
  const exec = new Set<string>()
  for (const { value, at } of section.of.allow_exec ?? []) {
    const [path = '', digest, ...more] = value.split('@')
    if (!isPath(path) || path === '/' || more.length > 0)
      findings.note('bad-path', at, `${quote(value)} is not the absolute path of a file, alone or with @sha256:...`)
    else if (digest !== undefined && !isDigest(digest))
      findings.note('bad-digest', at, `${quote(digest)} is not "sha256:" and 64 lower-case hex digits`)
    else if (exec.has(value)) findings.note('duplicate-value', at, `${quote(value)} stands twice`)
    else exec.add(value)
  }
  const activities = new Set<SuspectActivity>()
  for (const { value, at } of section.of.detect ?? []) {
    const kind = SUSPECT_ACTIVITIES.find((known) => known === value)
    if (kind === undefined) continue // the schema has told
    if (activities.has(kind)) findings.note('duplicate-value', at, `${quote(value)} stands twice`)
    else activities.add(kind)
  }
  if (!section.has('allow_exec') && !section.has('detect'))
    findings.note('empty-list', section.at, 'process lists nothing; add allow_exec, detect or both')
  const { reaction } = section.of
  return {
    exec: [...exec].sort(),
    activities: [...activities].sort(),
    reaction: REACTIONS.find((known) => known === reaction) ?? 'kill',
    origin: findings.origin(section.has('allow_exec') ? section.spot('allow_exec') : section.at),
  }
}

/** Absolute, one spelling: no `.`, `..`, empty segment or trailing slash; no globs, since they are matched by nothing here. */
function isPath(text: string): boolean {
  if (text === '/') return true
  if (!text.startsWith('/') || text.length > 4_096 || /[*?[\]{}]|\p{Cc}/u.test(text)) return false
  return !text
    .slice(1)
    .split('/')
    .some((segment) => segment === '' || segment === '.' || segment === '..')
}
