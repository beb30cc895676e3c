// What a running agent says of itself, line by line: the loop's and the story's own words as the one form that terminals and
// logs show.

import type { LoopLine } from '../agent/loop.js'
import { observedUntil } from '../agent/observing.js'
import type { ServeLine } from '../agent/serve.js'
import type { Store } from '../agent/store.js'
import type { Fact } from '../audit/fact.js'
import { causeChain, Fault } from '../base/fault.js'
import { formatInstant } from '../base/instant.js'
import type { AgentLine } from '../cli/host.js'

export type Spoken = Omit<AgentLine, 'atMs'>

const why = (error: unknown): string => causeChain(error).join(': ')
/** A refusal names what was found, as far as a log line goes. */
const MAX_FINDINGS = 20

/** undefined: too ordinary to be told. */
export function ofLoop(line: LoopLine): Spoken | undefined {
  switch (line.kind) {
    case 'failed':
      return { level: 'error', event: 'failed', detail: { during: line.during, why: why(line.error) } }
    case 'drift':
      return { level: 'warning', event: 'drift', detail: { findings: line.drift.slice(0, MAX_FINDINGS) } }
    case 'whole':
      return { level: 'info', event: 'whole', detail: {} }
    case 'carried': {
      // Once a second, and never news; what it does is told by the trail, and what it cannot do as `failed`.
      if (line.command === 'tend') return undefined
      const detail = { by: line.by, elapsedMs: Math.round(line.elapsedMs) }
      return { level: 'info', event: line.failed ? `${line.command}-refused` : line.command, detail }
    }
  }
}

export function ofStory(line: ServeLine): Spoken {
  switch (line.kind) {
    case 'stands':
      return { level: 'info', event: 'stands', detail: { state: line.stood, generation: line.generation } }
    case 'active':
      return { level: 'info', event: 'active', detail: { generation: line.generation, revision: line.revision } }
    case 'root':
      return { level: 'info', event: 'root', detail: { version: line.version } }
    case 'source-failed': {
      const { fault, waitMs } = line
      const findings = fault.notes.slice(0, MAX_FINDINGS).map((note) => `${note.file}:${note.line}: ${note.say}`)
      const detail = { code: fault.code, why: why(fault), waitMs, findings }
      return { level: 'warning', event: 'source-failed', detail }
    }
    case 'part-failed': {
      const code = line.error instanceof Fault ? line.error.code : 'INTERNAL'
      return { level: 'error', event: 'part-failed', detail: { part: line.part, code, why: why(line.error) } }
    }
  }
}

/** That a workspace begins or ends to be observed: nothing that anybody should have to look for. */
export function ofObserve(fact: Fact): Spoken | undefined {
  if (fact.kind !== 'observe-begun' && fact.kind !== 'observe-ended') return undefined
  const { kind, workspace, untilMs, reason } = fact
  const detail = { workspace: workspace.workspace, until: formatInstant(untilMs), reason }
  return { level: kind === 'observe-begun' ? 'warning' : 'info', event: kind, detail }
}

/** Who is observed while the agent starts. */
export const observedLines = (store: Pick<Store, 'load' | 'loadPlan'>, nowMs: number): readonly Spoken[] => {
  const { live } = store.load()
  const plan = live ? store.loadPlan(live.planDigest) : undefined
  return [...observedUntil(plan, nowMs)].map(([workspace, untilMs]) => ({
    level: 'warning',
    event: 'observed',
    detail: { workspace, until: formatInstant(untilMs) },
  }))
}

/** What a sink has to say to whoever reads the log; it stands in the trail as well. */
export function ofSink(fact: Fact): Spoken | undefined {
  if (fact.kind === 'audit-lost') {
    const { lost, cause, sink = '' } = fact
    return { level: 'warning', event: 'audit-lost', detail: { sink, lost, cause } }
  }
  if (fact.kind !== 'sink-failing' && fact.kind !== 'sink-recovered') return undefined
  const { kind, sink, sequence, lag, discarded, why: reason } = fact
  const detail = { sink, through: sequence, lag, discarded, ...(reason === '' ? {} : { why: reason }) }
  return { level: kind === 'sink-failing' ? 'warning' : 'info', event: kind, detail }
}
