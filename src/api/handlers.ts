// What each method does: reads the request, asks the agent, makes the answer. A row a method, so that one without a row does
// not compile. Who may call, how often and for how long is decided before (server.ts).

import {
  obligationMessage,
  readAttach,
  readAudience,
  readChain,
  readFlow,
  readLease,
  readNonce,
  readPacket,
  readQuestion,
  readReason,
  readSequence,
  readWorkspace,
  statusMessage,
  tenureMessage,
} from './convert.js'
import { readOpenSession, readSessionId, sessionMessage } from './convert-sessions.js'
import { apiFault } from './errors.js'
import { v1 } from './messages.js'
import type { MethodName, RequestOf, ResponseOf } from './methods.js'
import type { AgentPorts, Asker } from './ports.js'
import { type Caller, maySpeakOf } from './roles.js'

type Streaming = 'Audit/StreamEvents'
export type UnaryName = Exclude<MethodName, Streaming>

export type Handlers = {
  readonly [M in UnaryName]: (request: RequestOf<M>, asker: Asker, caller: Caller) => Promise<ResponseOf<M>>
} & {
  readonly [M in Streaming]: (request: RequestOf<M>, asker: Asker) => AsyncIterable<ResponseOf<M>>
}

export function handlersOf(agent: AgentPorts): Handlers {
  return {
    'Enforcement/GetStatus': async () => statusMessage(agent.node, await agent.status()),
    'Enforcement/GetPlan': async () => {
      const { generation, digest, encoded } = await agent.plan()
      return v1.GetPlanResponse.create({ generation, planDigest: digest, plan: encoded })
    },
    'Enforcement/Explain': async ({ workspace, packet }) => {
      const found = await agent.explain(readWorkspace(workspace), readPacket(packet))
      const { allowed, say, clause, grant, ways, generation } = found
      return v1.ExplainResponse.create({ allowed, say, clause, grant, ways: [...ways], generation })
    },
    'Enforcement/Quarantine': async ({ workspace, reason }, asker) => {
      const done = await agent.quarantine(asker, 'quarantine-set', readWorkspace(workspace), readReason(reason))
      const { changed, generation, elapsedMs, receipt = '' } = done
      return v1.QuarantineResponse.create({ changed, generation, elapsedMs, receipt })
    },
    'Enforcement/Lift': async ({ workspace, reason }, asker) => {
      const done = await agent.quarantine(asker, 'quarantine-lift', readWorkspace(workspace), readReason(reason))
      return v1.LiftResponse.create({ generation: done.generation, elapsedMs: done.elapsedMs })
    },
    'Enforcement/CheckDrift': async () => {
      const { asPlanned, drift, repairs } = await agent.drift()
      return v1.CheckDriftResponse.create({ asPlanned, drift: [...drift], repairs })
    },
    'Workspaces/Attach': async (request, asker) => {
      const { tenure, generation, elapsedMs } = await agent.attach(asker, readAttach(request))
      return v1.AttachResponse.create({ attachment: tenureMessage(tenure), generation, elapsedMs })
    },
    'Workspaces/Detach': async ({ workspace, leaseGeneration }, asker) => {
      const given = { workspace: readWorkspace(workspace), leaseGeneration: readLease(leaseGeneration) }
      const { generation, elapsedMs } = await agent.detach(asker, given)
      return v1.DetachResponse.create({ generation, elapsedMs })
    },
    'Workspaces/ListAttachments': async () =>
      v1.ListAttachmentsResponse.create({ attachments: (await agent.attachments()).map(tenureMessage) }),
    'Sessions/OpenSession': async (request, asker) => {
      const { session, grants, ...rest } = await agent.openSession(asker, readOpenSession(request))
      return v1.OpenSessionResponse.create({ session: sessionMessage(session), grants: [...grants], ...rest })
    },
    'Sessions/CloseSession': async ({ workspace, sessionId }, asker) => {
      const given = { workspace: readWorkspace(workspace), sessionId: readSessionId(sessionId) }
      const { session, ...rest } = await agent.closeSession(asker, given)
      return v1.CloseSessionResponse.create({ session: sessionMessage(session), ...rest })
    },
    'Sessions/ListSessions': async ({ workspace }) => {
      const sessions = await agent.sessions(workspace === '' ? '' : readWorkspace(workspace))
      return v1.ListSessionsResponse.create({ sessions: sessions.map(sessionMessage) })
    },
    'Decision/CheckFlow': async (request, _asker, caller) => {
      const workspace = readWorkspace(request.workspace)
      if (!maySpeakOf(caller, workspace)) throw apiFault('API_DENIED', { who: caller.id, what: `ask for ${workspace}` })
      const { allowed, reason, clause, generation } = await agent.checkFlow(workspace, readFlow(request))
      return v1.CheckFlowResponse.create({ allowed, reason, clause, generation })
    },
    'Decision/CheckAction': async (request, _asker, caller) => {
      const workspace = readWorkspace(request.workspace)
      if (!maySpeakOf(caller, workspace)) throw apiFault('API_DENIED', { who: caller.id, what: `ask for ${workspace}` })
      const { attestation, obligations, ...answer } = await agent.checkAction(workspace, readQuestion(request))
      return v1.CheckActionResponse.create({ ...answer, obligations: obligations.map(obligationMessage), attestation })
    },
    'Evidence/MakeEvidence': async ({ nonce, audience }, asker) => {
      if (!agent.evidence) throw apiFault('API_UNIMPLEMENTED', { method: 'Evidence/MakeEvidence' })
      const evidence = await agent.evidence(asker, readNonce(nonce), readAudience(audience))
      return v1.MakeEvidenceResponse.create({ evidence })
    },
    'Audit/GetTrail': async () => {
      if (!agent.trail) throw apiFault('API_UNIMPLEMENTED', { method: 'Audit/GetTrail' })
      const { chain, first, last, fingerprint, lost } = await agent.trail()
      const place = { chainUid: chain, firstSequence: first, lastSequence: last }
      return v1.GetTrailResponse.create({ ...place, fingerprint, lost })
    },
    'Audit/StreamEvents': async function* ({ afterSequence, chainUid }, { signal }) {
      if (!agent.events) throw apiFault('API_UNIMPLEMENTED', { method: 'Audit/StreamEvents' })
      for await (const { sequence, line } of agent.events(readSequence(afterSequence), readChain(chainUid), signal))
        yield v1.StreamEventsResponse.create({ sequence, event: line })
    },
  }
}
