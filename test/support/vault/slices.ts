// Storage slices for tests, made from rules written as `read-only /a /b`.

import { digestOfText } from '../../../src/base/digest.js'
import type { FileAccess, FileRule, PlanSlice, VolumePlan } from '../../../src/plan/model.js'
import { planOf, SOURCE, WS } from '../plans.js'

export const clauseOf = (access: FileAccess, path: string) => digestOfText(`${access} ${path}`)

/** One rule a line, `access path`. */
export function rules(...lines: readonly string[]): FileRule[] {
  return lines
    .map((line) => {
      const [access, path] = line.split(' ') as [FileAccess, string]
      return { path, access, clauses: [clauseOf(access, path)] }
    })
    .sort((a, b) => (`${a.path}\0${a.access}` < `${b.path}\0${b.access}` ? -1 : 1))
}

export const volume = (lines: readonly string[], more: Partial<VolumePlan> = {}): VolumePlan => ({
  name: 'work',
  source: '/srv/work',
  mount: '/run/view/work',
  rules: rules(...lines),
  ...more,
})

/** A slice of one workspace with these volumes. */
export function sliceOf(volumes: readonly VolumePlan[], generation = 1, more: Partial<PlanSlice> = {}): PlanSlice {
  const [at] = planOf([]).workspaces
  if (!at) throw new TypeError('a plan has its workspace')
  return {
    generation,
    planDigest: digestOfText(`plan ${generation} ${JSON.stringify(volumes)}`),
    source: SOURCE,
    workspaces: [{ ...at, workspace: WS, storage: { backend: 'vaultfs', domain: 'host', volumes } }],
    ...more,
  }
}
