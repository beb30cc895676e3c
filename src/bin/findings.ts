// Findings of the running agent: the detectors behind its trail, their reactions as commands of its loop.

import { Findings } from '../agent/findings.js'
import { endWorkspace } from '../agent/kill.js'
import type { Loop, LoopLine } from '../agent/loop.js'
import type { Store } from '../agent/store.js'
import type { Trail } from '../agent/trail.js'
import type { Fact } from '../audit/fact.js'
import type { Configured } from '../cli/host.js'
import type { LifecycleCall } from '../findings/sight.js'
import { FINDING_TERMS } from '../findings/terms.js'

/** As the agent calls itself in commands that nobody asked for. */
const SELF = 'sluice'

export interface FindingsAround {
  readonly config: Configured
  readonly store: Store
  readonly trail: Trail
  readonly loop: () => Loop
  readonly nowMs: () => number
  readonly commandId: () => string
  readonly tell: (facts: readonly Fact[]) => Promise<void>
  readonly failed: (error: unknown) => void
}

/** Not started yet. */
export function hostFindings(around: FindingsAround): Findings {
  const { config, store, trail, loop, nowMs, commandId, tell, failed } = around
  const planOf = () => {
    const { live } = store.load()
    return live ? store.loadPlan(live.planDigest) : undefined
  }
  return new Findings(
    {
      node: config.node,
      nowMs,
      sequence: () => trail.status()?.sequence ?? 0,
      tell,
      planned: () => planOf()?.workspaces.map(({ workspace }) => workspace) ?? [],
      fence: async (workspace, reason) => {
        const id = commandId()
        await loop().run<'quarantine-set'>({ kind: 'quarantine-set', by: SELF, commandId: id, workspace, reason })
        return id
      },
      end: (workspace) => {
        const entry = planOf()?.workspaces.find((one) => one.workspace === workspace)
        return entry ? endWorkspace(entry.slot) : Promise.resolve('elsewhere')
      },
      failed,
    },
    config.findings ?? FINDING_TERMS,
  )
}

/** What a command is to detectors; undefined where it is about no workspace. */
export function callOf(line: LoopLine, atMs: number): LifecycleCall | undefined {
  if (line.kind !== 'carried' || line.workspace === undefined) return undefined
  const { by, command, workspace, failed: refused } = line
  return { kind: 'lifecycle-call', atMs, by, command, workspace, refused }
}

const METHODS: { readonly [method: string]: string } = {
  'Enforcement/Quarantine': 'quarantine-set',
  'Enforcement/Lift': 'quarantine-lift',
  'Workspaces/Attach': 'attach',
  'Workspaces/Detach': 'detach',
}

/** A call that was refused before anybody looked whom it was about; undefined for one that is about no workspace. */
export function refusedCall(by: string, method: string, atMs: number): LifecycleCall | undefined {
  const command = METHODS[method]
  return command === undefined ? undefined : { kind: 'lifecycle-call', atMs, by, command, workspace: '', refused: true }
}
