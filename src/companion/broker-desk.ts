// Sessions of the access broker as the companion answers for them: asked of the agent over its gRPC, with the companion's own
// certificate. The agent has the record and judges; nothing is kept here, so a companion that restarts knows what it knew.

import { sessionOf } from '../api/grpc-client.js'
import { type AgentLink, asked } from './agent.js'

export function brokerDesk({ client }: Pick<AgentLink, 'client'>) {
  return {
    openSession: async (given: {
      readonly workspace: string
      readonly sessionId: string
      readonly user: string
      readonly peer: string
      readonly lifetimeMs: number
    }) => {
      const { session, grants, changed, elapsedMs } = await asked(client.call('Sessions/OpenSession', given))
      return { session: sessionOf(session ?? {}), grants, changed, elapsedMs }
    },
    closeSession: async (given: { readonly workspace: string; readonly sessionId: string }) => {
      const { session, changed, elapsedMs } = await asked(client.call('Sessions/CloseSession', given))
      return { session: sessionOf(session ?? {}), grants: [], changed, elapsedMs }
    },
    /** '' for all. */
    sessions: async (workspace: string) =>
      (await asked(client.call('Sessions/ListSessions', { workspace }))).sessions.map(sessionOf),
  }
}
