// What the trail and the metrics hear of decisions: every answer is counted and timed, and denials become facts, like ones folded
// into one a second. Nothing here can keep an answer from whoever asked.

import type { Fact } from '../audit/fact.js'
import { ActionFold } from '../audit/fold-actions.js'
import { Fault } from '../base/fault.js'
import type { Action } from '../decide/model.js'
import { workspaceContext } from './context.js'
import type { ActionQuestion, Answered, Decider } from './decider.js'
import type { DecisionMetrics } from './metrics-decisions.js'

export interface DecisionTerms {
  readonly metrics: DecisionMetrics
  /** Of the same clock as the trail's, and one that never goes back. */
  readonly nowMs: () => number
  readonly monotonicMs: () => number
}

export class DecisionTrail {
  private readonly fold = new ActionFold()

  constructor(
    private readonly decider: Pick<Decider, 'answer'>,
    private readonly terms: DecisionTerms,
  ) {}

  /** As the decider answers, noted. */
  async answer(asked: ActionQuestion): Promise<Answered> {
    const { metrics, monotonicMs } = this.terms
    const begunMs = monotonicMs()
    try {
      const answered = await this.decider.answer(asked)
      metrics.answered(answered.decision, monotonicMs() - begunMs)
      if (answered.decision.decision === 'deny') this.note(asked, answered)
      return answered
    } catch (error) {
      metrics.failed(error instanceof Fault ? error.code : 'unexpected')
      throw error
    }
  }

  /** Denials whose second is over; Infinity gives all. */
  due(nowMs: number): readonly Fact[] {
    return this.fold.due(nowMs)
  }

  private note({ workspace }: ActionQuestion, { decision, question, under, authority }: Answered): void {
    const { plan, generation } = under
    const { bundleId, bundleDigest, policyRevision } = plan.source
    const { clause } = decision
    this.fold.add(
      {
        atMs: this.terms.nowMs(),
        policy: { bundleId, bundleDigest, policyRevision, generation },
        workspace: workspaceContext(plan, workspace),
        action: question.action.kind,
        ...describe(question.action),
        reason: decision.reason,
        ...(clause === undefined || clause === '' ? {} : { clause }),
        ...(question.agentId === undefined ? {} : { agent: question.agentId }),
        ...(authority ? { task: authority.taskId } : {}),
        ...(question.executable === undefined ? {} : { executable: question.executable }),
        traceIds: question.traceId === '' ? [] : [question.traceId],
      },
      plan.workspaces.some((entry) => entry.workspace === workspace),
    )
  }
}

/** Without the query: what is in it may be a secret. */
function describe(action: Action): { readonly operation: string; readonly resource: string } {
  switch (action.kind) {
    case 'request': {
      const tool = action.rpc?.find(({ tool: named }) => named !== undefined)?.tool
      const operation = tool === undefined ? action.method : `${action.method} ${tool}`
      return { operation, resource: `//${bracketed(action.host)}:${action.port}${action.path}` }
    }
    case 'connect':
      return { operation: 'connect', resource: `${action.protocol}://${bracketed(action.host)}:${action.port}` }
    case 'file':
      return { operation: action.operation, resource: `${action.volume ?? 'file'}:${action.path}` }
    case 'exec':
      return { operation: 'exec', resource: action.path }
    case 'run-as':
      return { operation: 'run-as', resource: `${action.user ?? ''}:${action.group ?? ''}` }
  }
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)
