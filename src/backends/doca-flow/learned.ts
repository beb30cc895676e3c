// Addresses that the mediator learns, as entries of the pipes that wait for them. What is held is the state; the entries of each
// pipe follow from it, the time and what the pipe is for, and are brought into agreement whenever one of these changes. A grant
// that runs out begins nothing any more; what it began goes on while its clause lives (TCP), or ends with it (UDP).

import { parseIp } from '../../base/ip.js'
import { addressClass } from '../../base/reserved.js'
import { type ClausesOf, LearnedGrants, type Taught, tupleOf } from '../../plan/learned.js'
import type { LearnedGrant, WorkspaceId } from '../../plan/model.js'
import { beginningOf, type Chains, type LoadedPipe } from './chains.js'
import { docaFault } from './errors.js'
import type { Handle, Native, Target } from './native.js'
import { addressOctets, joined, u16 } from './octets.js'
import type { DocaWorkspace, Forward, Lesson } from './program.js'

export const clausesOf =
  (workspaces: readonly DocaWorkspace[]): ClausesOf =>
  (workspace) =>
    workspaces.find((at) => at.workspace === workspace)?.names

export class Learned {
  readonly grants = new LearnedGrants()
  /** What is in each pipe, by tuple. A pipe that is destroyed is forgotten with it. */
  private readonly entries = new WeakMap<LoadedPipe, Map<string, Handle>>()

  constructor(
    private readonly native: Native,
    private readonly waitMs: number,
  ) {}

  /** As `Driver.learn` says of grants of one clause and tuple. Throws DOCA_CAPACITY, with nothing taken in, for more than fit. */
  add(workspaces: readonly DocaWorkspace[], grants: readonly LearnedGrant[], nowMs: number): void {
    this.grants.add(clausesOf(workspaces), grants, (taught, workspace) => {
      const at = workspaces.find((one) => one.workspace === workspace)
      for (const { learns } of at?.pipes ?? []) if (learns) makeRoom(taught, learns, workspace, nowMs)
    })
  }

  /** Brings the chains' pipes into agreement with what is held; what goes, goes first. In force when it returns. */
  sync(chains: readonly Chains[], nowMs: number): void {
    const { native, waitMs } = this
    const adding: (() => void)[] = []
    for (const { at, pipes, port } of chains)
      for (const loaded of pipes) {
        const { learns } = loaded.pipe
        if (!learns) continue
        const wanted = wantedIn(this.grants.of(at.workspace), learns, nowMs)
        const there = this.entries.get(loaded) ?? new Map<string, Handle>()
        this.entries.set(loaded, there)
        const gone = [...there].filter(([tuple]) => !wanted.has(tuple))
        native.remove(
          'taking learned addresses away',
          gone.map(([, handle]) => handle),
        )
        for (const [tuple] of gone) there.delete(tuple)
        const fresh = [...wanted].filter(([tuple]) => !there.has(tuple))
        const target = targetOf(learns.out, port)
        adding.push(() => {
          const entries = fresh.map(([, key]) => ({ key, target }))
          const handles = native.add('adding learned addresses', loaded.handle, entries)
          for (const [i, [tuple]] of fresh.entries()) there.set(tuple, handles[i] as Handle)
        })
      }
    native.settle('taking learned addresses away', waitMs)
    for (const add of adding) add()
    native.settle('adding learned addresses', waitMs)
  }
}

function targetOf({ kind }: Forward, port: number): Target {
  if (kind === 'begins-from' || kind === 'begins-to') return beginningOf(kind)
  return { kind: 'port', port: kind === 'slot' ? port : 0 }
}

/** Keys by tuple. A resolved name never opens a reserved address (design section 5, step 6). */
function wantedIn(held: readonly LearnedGrant[], lesson: Lesson, nowMs: number): Map<string, Uint8Array> {
  const wanted = new Map<string, Uint8Array>()
  for (const grant of held) {
    const ip = grant.protocol === lesson.protocol ? parseIp(grant.address) : undefined
    if (ip?.family !== lesson.family || addressClass(ip) !== 'public') continue
    if (lesson.expired || grant.expiresAtMs > nowMs)
      wanted.set(tupleOf(grant), joined(addressOctets(ip), u16(grant.port)))
  }
  return wanted
}

/** What ran out longest ago gives way. Throws DOCA_CAPACITY when that is not enough. */
function makeRoom(held: Taught, lesson: Lesson, workspace: WorkspaceId, nowMs: number): void {
  const past = [...held].filter(([, grant]) => grant.expiresAtMs <= nowMs)
  past.sort(([, a], [, b]) => b.expiresAtMs - a.expiresAtMs)
  for (;;) {
    const wanted = wantedIn([...held.values()], lesson, nowMs).size
    if (wanted <= lesson.room) return
    const oldest = past.pop()
    if (!oldest)
      throw docaFault('DOCA_CAPACITY', { what: `learned addresses for ${workspace}`, wanted, limit: lesson.room })
    held.delete(oldest[0])
  }
}
