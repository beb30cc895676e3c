// The companion's link to its agent. Certificate, key and authority are looked at before each call, and a connection with what they say
// now takes the place of the one before: a server ends every connection in time, and the next handshake must not be made with what has
// expired. Files that cannot be read, or that are not of one another yet, change nothing: what was read before still says who we are.

import { readFileSync } from 'node:fs'
import { AgentClient, type ClientTerms } from '../api/grpc-client.js'
import type { CompanionConfig } from '../companion/config.js'

type Secrets = Pick<ClientTerms, 'ca' | 'certificate' | 'key'>

/** One connection, which is closed once it is over and nothing is asked through it. */
interface Held {
  readonly secrets: Secrets
  readonly client: AgentClient
  asked: number
  isOver: boolean
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
  const hold = (secrets: Secrets): Held => {
    return { secrets, client: new AgentClient({ address, serverName, ...secrets }), asked: 0, isOver: false }
  }
  const settle = (one: Held): void => {
    if (one.isOver && one.asked === 0) one.client.close()
  }
  let held = hold(read())
  const current = (): Held => {
    try {
      const secrets = read()
      if (isSame(secrets, held.secrets)) return held
      const [before, next] = [held, hold(secrets)]
      held = next
      before.isOver = true
      settle(before)
    } catch {
      // Half of a rotation, or a disk that refuses: it is looked at again before the next call, and no kill waits for it.
    }
    return held
  }
  return {
    call: async (name, request, deadlineMs) => {
      const one = current()
      one.asked++
      try {
        return await one.client.call(name, request, deadlineMs)
      } finally {
        one.asked--
        settle(one)
      }
    },
    close: () => {
      held.client.close()
    },
  }
}

const isSame = (a: Secrets, b: Secrets): boolean =>
  a.ca.equals(b.ca) && a.certificate.equals(b.certificate) && a.key.equals(b.key)
