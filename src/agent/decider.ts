// Answers questions about actions on a node that runs: under the plan that is on record, with the flags of the workspace as they
// are now, and with what the agent that the question names was registered for and delegated. The program is compiled once for each
// generation; quarantines are read for every question, and what the backends show (suspended) at most a moment before, so that
// many callers do not each walk through the kernel.

import type { Authority } from '../decide/authority.js'
import type { Decision } from '../decide/model.js'
import { compileProgram, type Program } from '../decide/program.js'
import { type Question, readQuestion } from '../decide/read-question.js'
import type { WorkspaceId } from '../plan/model.js'
import { Askers } from './askers.js'
import { answerQuestion, signDecision } from './decision.js'
import { agentFault } from './errors.js'
import { loadPolicies } from './held-policies.js'
import { type AgentNode, lookUp } from './node.js'
import type { Numbered } from './transaction.js'

export interface ActionQuestion {
  readonly workspace: WorkspaceId
  /** untrusted: JSON (decide/read-question.ts). */
  readonly text: string
  /** Whom a signed statement is for; '' asks for none. */
  readonly audience: string
  /** Hexadecimal. */
  readonly nonce: string
}
export interface Answered {
  readonly decision: Decision
  readonly program: Pick<Program, 'generation' | 'bundleDigest' | 'planDigest'>
  readonly question: Question
  /** The plan under which it was answered. */
  readonly under: Numbered
  /** Of the agent that the question names, where its records carry one. */
  readonly authority?: Authority
  /** A compact JWS; '' where none was asked for, or this node has no key. */
  readonly attestation: string
}

/** How old what the backends show may be, and the trust root. */
const SHOWN_MS = 100

interface Shown {
  readonly previous: Numbered
  readonly flagged: { readonly quarantined: ReadonlySet<WorkspaceId>; readonly suspended: ReadonlySet<WorkspaceId> }
}

export class Decider {
  private program: Program | undefined
  private shown: Promise<Shown> | undefined
  private askedAtMs = Number.NEGATIVE_INFINITY

  private askers: Askers | undefined
  private opened: Promise<AgentNode> | undefined
  private openedAtMs = Number.NEGATIVE_INFINITY

  /** `monotonicMs` says how old a look at the backends is; a wall clock may be set back. */
  constructor(
    private readonly node: () => Promise<AgentNode>,
    private readonly monotonicMs: () => number,
  ) {}

  /** Looks for new registration records. Throws AGENT_CONFIG_READ, AGENT_REGISTRATION_MANY, AGENT_STORE_*. */
  async refresh(): Promise<void> {
    this.openedAtMs = Number.NEGATIVE_INFINITY
    const node = await this.nodeNow()
    await this.askersOf(node).refresh(node)
  }

  /** With a trust root that is a moment old at most: to read it anew would cost more than all the rest of an answer. */
  private nodeNow(): Promise<AgentNode> {
    const nowMs = this.monotonicMs()
    if (this.opened && nowMs - this.openedAtMs <= SHOWN_MS) return this.opened
    this.openedAtMs = nowMs
    this.opened = this.node()
    this.opened.catch(() => {
      // Whoever waits for it is told; the next question opens it again.
      this.openedAtMs = Number.NEGATIVE_INFINITY
    })
    return this.opened
  }

  private askersOf({ store, config }: AgentNode): Askers {
    this.askers ??= new Askers(store.directory, config.decisions)
    return this.askers
  }

  /** Throws AGENT_QUESTION, AGENT_NOTHING_LIVE, AGENT_DECISION_NONE, AGENT_BACKEND_LOST, AGENT_STORE_*. */
  async answer({ workspace, text, audience, nonce }: ActionQuestion): Promise<Answered> {
    const question = readQuestion(text)
    if (typeof question === 'string') throw agentFault('AGENT_QUESTION', { why: question })
    const node = await this.nodeNow()
    const { previous, flagged } = await this.look(node)
    const program = this.programOf(node, previous)
    const recorded = node.store.quarantines().some((entry) => entry.workspace === workspace)
    const authority = await this.askersOf(node).authorityOf(question, workspace, node)
    const standing = {
      workspace,
      ...(authority === undefined ? {} : { authority }),
      quarantined: recorded || flagged.quarantined.has(workspace),
      suspended: flagged.suspended.has(workspace),
    }
    const terms = { node: node.config.node, audience, nonce, nowMs: node.nowMs() }
    const { decision, statement } = answerQuestion(program, standing, question, terms)
    const signed = audience !== '' && node.signer ? await signDecision(statement, node.signer) : ''
    const resolved = typeof authority === 'object' ? { authority } : {}
    return { decision, program, question, under: previous, ...resolved, attestation: signed }
  }

  private programOf(node: AgentNode, { plan, digest, generation }: Numbered): Program {
    const held = this.program
    if (held && held.generation === generation && held.planDigest === digest) return held
    // A closed plan has no policy, and needs none to deny.
    const policies = plan.workspaces.some(({ policy }) => policy !== undefined)
      ? loadPolicies(node.store.directory, digest)
      : []
    const program = compileProgram({ plan, planDigest: digest, generation, policies })
    this.program = program
    return program
  }

  private async look(node: AgentNode): Promise<Shown> {
    const nowMs = this.monotonicMs()
    const at = node.store.load().live
    if (this.shown && nowMs - this.askedAtMs <= SHOWN_MS) {
      const shown = await this.shown
      // A plan that became live since then is not answered for by the one before it.
      if (shown.previous.generation === at?.generation) return shown
    }
    this.askedAtMs = nowMs
    this.shown = lookAt(node)
    this.shown.catch(() => {
      // Whoever waits for it is told; nobody after them is answered from a look that failed.
      this.askedAtMs = Number.NEGATIVE_INFINITY
    })
    return this.shown
  }
}

async function lookAt(node: AgentNode): Promise<Shown> {
  const { previous, live } = await lookUp(node)
  if (!previous) throw agentFault('AGENT_NOTHING_LIVE', { directory: node.store.directory })
  const seen = [...live.values()].flatMap((backend) => backend.live ?? [])
  return {
    previous,
    flagged: {
      quarantined: new Set(seen.flatMap(({ quarantined }) => [...quarantined])),
      suspended: new Set(seen.flatMap(({ suspended }) => [...suspended])),
    },
  }
}
