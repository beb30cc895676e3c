// Whether what a plan needs of a device is there, asked before anything is staged: a plan that ran out of room half way would
// be refused as well, but late, and with words about entries instead of clauses. Backends whose room ends say what a plan needs
// and what there is, both as counts by kind; the kinds are theirs. Those that only memory bounds say neither.

import type { Note } from '../base/note.js'
import type { Capabilities } from './capabilities.js'
import type { BackendName, Guarantee, WorkspacePlan } from './model.js'

/** How much of each kind, as `entries: 1200`. */
export type Need = Readonly<Record<string, number>>
/** What workspaces need together, by backend. Pure. */
export type Needs = ReadonlyMap<BackendName, (workspaces: readonly WorkspacePlan[]) => Need>

/** An error for each kind that a backend has not enough of. */
export function shortages(
  workspaces: readonly WorkspacePlan[],
  guarantees: readonly Guarantee[],
  capabilities: readonly Capabilities[],
  needs: Needs,
): Note[] {
  return capabilities.flatMap(({ backend, room }) => {
    const carried = workspaces.filter((at) => at.backend === backend)
    const need = needs.get(backend)
    if (!room || !need || carried.length === 0) return []
    const clauses = clausesOf(carried, guarantees)
    return Object.entries(need(carried)).flatMap(([kind, wanted]) => {
      const limit = room[kind]
      if (limit === undefined || wanted <= limit) return []
      return [short(backend, `${clauses} clauses of ${carried.length} workspaces`, kind, wanted, limit)]
    })
  })
}

function clausesOf(carried: readonly WorkspacePlan[], guarantees: readonly Guarantee[]): number {
  const ids = new Set(carried.map(({ workspace }) => workspace))
  return new Set(guarantees.filter(({ workspace }) => ids.has(workspace)).map(({ clause }) => clause)).size
}

const short = (backend: BackendName, who: string, kind: string, wanted: number, limit: number): Note => ({
  code: 'no-capacity',
  severity: 'error',
  file: '',
  line: 0,
  column: 0,
  path: '',
  say: `${who} need ${wanted} ${kind} of ${backend}, which has room for ${limit}; give them fewer clauses or wider prefixes, or attach some of the workspaces to another node`,
})
