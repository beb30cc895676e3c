// Sessions of the access broker as the companion answers for them: asked of the agent over its gRPC, with the companion's own
// certificate. The agent has the record and judges. Kept here is only what a security event took away (bin/companion-revocation.ts): that opens nothing.

import { sessionOf } from '../api/grpc-client.js'
import { Fault } from '../base/fault.js'
import { type AgentLink, asked } from './agent.js'

interface Named {
  readonly workspace: string
  readonly sessionId: string
}

export interface BrokerTerms extends Pick<AgentLink, 'client'> {
  /** Throws why that session may not be opened here now. */
  readonly mayOpen?: (asked: Named) => void
}

export type BrokerDesk = ReturnType<typeof brokerDesk>

export function brokerDesk({ client, mayOpen }: BrokerTerms) {
  const closeSession = async ({ workspace, sessionId }: Named) => {
    const answer = await asked(client.call('Sessions/CloseSession', { workspace, sessionId }))
    const { session, changed, elapsedMs } = answer
    return { session: sessionOf(session ?? {}), grants: [], changed, elapsedMs }
  }
  /**
   * Why it may not be open. One whose id is over is closed, whatever its open was answered: the agent does what waits in its queue also
   * when nobody waits for the answer any more. Throws why it could not be closed: then it is asked for again.
   */
  const objection = async (given: Named): Promise<{ readonly why: unknown } | undefined> => {
    try {
      mayOpen?.(given)
      return undefined
    } catch (why) {
      if (hasCode(why, 'AGENT_SESSION_OVER')) await closeSession(given).catch(unlessUnknown)
      return { why }
    }
  }
  return {
    openSession: async (
      given: Named & { readonly user: string; readonly peer: string; readonly lifetimeMs: number },
    ) => {
      const before = await objection(given)
      if (before) throw before.why
      const { session, grants, changed, elapsedMs } = await asked(client.call('Sessions/OpenSession', given)).catch(
        async (error: unknown) => {
          const since = await objection(given)
          throw since && hasCode(since.why, 'AGENT_SESSION_OVER') ? since.why : error
        },
      )
      // It may have been revoked on its way, by an event that did not find it open yet.
      const since = await objection(given)
      if (since && changed && !hasCode(since.why, 'AGENT_SESSION_OVER')) await closeSession(given)
      if (since) throw since.why
      return { session: sessionOf(session ?? {}), grants, changed, elapsedMs }
    },
    closeSession,
    /** '' for all. */
    sessions: async (workspace: string, withinMs?: number) =>
      (await asked(client.call('Sessions/ListSessions', { workspace }, withinMs))).sessions.map(sessionOf),
  }
}

const hasCode = (error: unknown, code: string): boolean => error instanceof Fault && error.code === code

function unlessUnknown(error: unknown): void {
  if (!hasCode(error, 'AGENT_SESSION_UNKNOWN')) throw error
}
