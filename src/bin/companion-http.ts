// Health and metrics of a running companion, on loopback, wherever `http` of companion.yaml names an address: of whatever it does, also of
// nothing yet. An address that cannot be had is no reason to run no machine and to have no kill switch: it is said, and tried again.

import type { Registry } from 'prom-client'
import { type HttpServer, startHttp } from '../agent/http.js'
import { causeChain } from '../base/fault.js'
import type { CompanionRequest } from '../cli/host-companion.js'

export interface HttpPlace {
  readonly registry: Registry
  readonly nowMs: () => number
  readonly sleep: (ms: number, wake?: AbortSignal) => Promise<void>
  readonly say: CompanionRequest['tell']
}

const AGAIN_MS = 10_000

/** `listen`: of what companion.yaml has admitted; undefined: nowhere. Never throws. */
export function serveHealth(
  listen: string | undefined,
  { registry, nowMs, sleep, say }: HttpPlace,
): { readonly stop: () => Promise<void> } | undefined {
  if (listen === undefined) return undefined
  const at = listen.lastIndexOf(':')
  const address = { host: listen.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(listen.slice(at + 1)) }
  const ready = () => Promise.resolve({ ready: true, state: 'running' })
  const ending = new AbortController()
  const { signal } = ending
  const begin = async (): Promise<HttpServer | undefined> => {
    let said: string | undefined
    while (!signal.aborted) {
      try {
        const server = await startHttp({ registry, ready }, address)
        say({ atMs: nowMs(), level: 'info', event: 'http', detail: { port: server.port } })
        return server
      } catch (error) {
        const why = causeChain(error).join(': ')
        if (why !== said) say({ atMs: nowMs(), level: 'warning', event: 'http-failed', detail: { why } })
        said = why
      }
      await sleep(AGAIN_MS, signal)
    }
    return undefined
  }
  const begun = begin()
  return {
    stop: async () => {
      ending.abort()
      await (await begun)?.close()
    },
  }
}
