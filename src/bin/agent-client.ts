// The companion's link to its agent. Certificate, key and authority are looked at before each call, and a connection with what they say
// now takes the place of the one before: a server ends every connection in time, and the next handshake must not be made with what has
// expired. Files that cannot be read, or that are not of one another yet, change nothing: what was read before still says who we are. Where
// the other side does not believe the new ones yet, the connection of before is used until it does.

import { readFileSync } from 'node:fs'
import { AgentClient, type ClientTerms, refusalOf } from '../api/grpc-client.js'
import { Fault } from '../base/fault.js'
import type { CompanionConfig } from '../companion/config.js'

type Secrets = Pick<ClientTerms, 'ca' | 'certificate' | 'key'>

/** One connection, which is closed once it is over and nothing is asked through it. */
interface Held {
  readonly secrets: Secrets
  readonly client: AgentClient
  asked: number
  isOver: boolean
  /** The one that it takes the place of, until something has been answered through this one. */
  before: Held | undefined
}

export interface RenewedClient extends Pick<AgentClient, 'call'> {
  close(): void
}

/** Throws what the system says of a file that cannot be read at the start, and of certificates that are none. */
export function agentClient({ address, serverName, ...files }: CompanionConfig['agent']): RenewedClient {
  const read = (): Secrets => ({
    ca: readFileSync(files.ca),
    certificate: readFileSync(files.certificate),
    key: readFileSync(files.key),
  })
  const hold = (secrets: Secrets, before?: Held): Held => {
    return { secrets, client: new AgentClient({ address, serverName, ...secrets }), asked: 0, isOver: false, before }
  }
  const settle = (one: Held): void => {
    if (one.isOver && one.asked === 0) one.client.close()
  }
  const end = (one: Held): void => {
    one.isOver = true
    settle(one)
  }
  const answered = (one: Held): void => {
    if (one.before) end(one.before)
    one.before = undefined
  }
  const ask = async <A>(one: Held, through: (client: AgentClient) => Promise<A>): Promise<A> => {
    one.asked++
    try {
      const answer = await through(one.client)
      answered(one)
      return answer
    } catch (error) {
      // A refusal is an answer, too.
      if (!isUnavailable(error)) answered(one)
      throw error
    } finally {
      one.asked--
      settle(one)
    }
  }
  let held = hold(read())
  const current = (): Held => {
    try {
      const secrets = read()
      if (isSame(secrets, held.secrets)) return held
      // One through which nothing was ever answered is no way back.
      const unproven = held.before ? held : undefined
      held = hold(secrets, held.before ?? held)
      if (unproven) end(unproven)
    } catch {
      // Half of a rotation, or a disk that refuses: it is looked at again before the next call, and no kill waits for it.
    }
    return held
  }
  return {
    call: async (name, request, deadlineMs) => {
      const one = current()
      try {
        return await ask(one, (client) => client.call(name, request, deadlineMs))
      } catch (error) {
        if (!one.before || !isUnavailable(error)) throw error
        return await ask(one.before, (client) => client.call(name, request, deadlineMs))
      }
    },
    close: () => {
      held.before?.client.close()
      held.client.close()
    },
  }
}

/** Nobody was reached: neither an answer nor a refusal of the agent's own. */
function isUnavailable(error: unknown): boolean {
  const said = refusalOf(error)
  return said !== undefined && !(said instanceof Fault) && said.why.startsWith('UNAVAILABLE:')
}

const isSame = (a: Secrets, b: Secrets): boolean =>
  a.ca.equals(b.ca) && a.certificate.equals(b.certificate) && a.key.equals(b.key)
