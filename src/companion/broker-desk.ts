// Sessions of the access broker as the companion answers for them: asked of the agent over its gRPC, with the companion's own
// certificate. The agent has the record and judges. Kept here is only what a security event took away (bin/companion-revocation.ts): that opens nothing.

import { sessionOf } from '../api/grpc-client.js'
import { type AgentLink, asked } from './agent.js'

export interface BrokerTerms extends Pick<AgentLink, 'client'> {
  /** Throws why that session may not be opened here now. */
  readonly mayOpen?: (asked: { readonly workspace: string; readonly sessionId: string }) => void
}

export type BrokerDesk = ReturnType<typeof brokerDesk>

export function brokerDesk({ client, mayOpen }: BrokerTerms) {
  const closeSession = async (given: { readonly workspace: string; readonly sessionId: string }) => {
    const { session, changed, elapsedMs } = await asked(client.call('Sessions/CloseSession', given))
    return { session: sessionOf(session ?? {}), grants: [], changed, elapsedMs }
  }
  return {
    openSession: async (given: {
      readonly workspace: string
      readonly sessionId: string
      readonly user: string
      readonly peer: string
      readonly lifetimeMs: number
    }) => {
      mayOpen?.(given)
      const { session, grants, changed, elapsedMs } = await asked(client.call('Sessions/OpenSession', given))
      try {
        // It may have been revoked on its way, by an event that did not find it open yet.
        mayOpen?.(given)
      } catch (error) {
        if (changed) await closeSession({ workspace: given.workspace, sessionId: given.sessionId })
        throw error
      }
      return { session: sessionOf(session ?? {}), grants, changed, elapsedMs }
    },
    closeSession,
    /** '' for all. */
    sessions: async (workspace: string, withinMs?: number) =>
      (await asked(client.call('Sessions/ListSessions', { workspace }, withinMs))).sessions.map(sessionOf),
  }
}
