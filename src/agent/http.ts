// Health and metrics of a running agent over plain HTTP, on loopback alone: `/livez` says that the process answers, `/readyz`
// that the fence was read back as planned, `/metrics` is for Prometheus. Nothing can be changed here, and nothing secret is
// shown; names of workspaces are, which is why the address must be loopback.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import { parseIp } from '../base/ip.js'
import { agentFault } from './errors.js'

export interface HttpSources {
  readonly registry: Registry
  /** Whether the fence is as planned, and in words what it is. May throw: then it is not. */
  readonly ready: () => Promise<{ readonly ready: boolean; readonly state: string }>
}
export interface HttpAddress {
  /** An address of loopback. */
  readonly host: string
  /** 0: any free one. */
  readonly port: number
}
export interface HttpServer {
  readonly port: number
  readonly close: () => Promise<void>
}

const LIMITS = { connections: 16, requestMs: 5_000, headerBytes: 8 << 10 } as const
const TEXT = 'text/plain; charset=utf-8'

/** Listens until closed. Throws AGENT_HTTP_ADDRESS for an address outside loopback, or one that cannot be had. */
export async function startHttp(sources: HttpSources, { host, port }: HttpAddress): Promise<HttpServer> {
  if (!isLoopback(host)) throw agentFault('AGENT_HTTP_ADDRESS', { host, port, why: 'it is not an address of loopback' })
  const server = createServer(
    { maxHeaderSize: LIMITS.headerBytes, requestTimeout: LIMITS.requestMs },
    (request, response) => {
      void answer(sources, request, response)
    },
  )
  server.maxConnections = LIMITS.connections
  server.headersTimeout = LIMITS.requestMs
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(agentFault('AGENT_HTTP_ADDRESS', { host, port, why: 'it cannot be listened on' }, { cause }))
    })
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

const isLoopback = (host: string): boolean => {
  const ip = parseIp(host)
  return ip !== undefined && (/^127\./.test(host) || host === '::1')
}

type Page = (sources: HttpSources) => Promise<{ readonly status: number; readonly type: string; readonly body: string }>

const PAGES: ReadonlyMap<string, Page> = new Map<string, Page>([
  ['/livez', async () => ({ status: 200, type: TEXT, body: 'ok\n' })],
  [
    '/readyz',
    async ({ ready }) => {
      const found = await ready().catch(() => ({ ready: false, state: 'unreadable' }))
      return { status: found.ready ? 200 : 503, type: TEXT, body: `${found.state}\n` }
    },
  ],
  ['/metrics', async ({ registry }) => ({ status: 200, type: registry.contentType, body: await registry.metrics() })],
])

// untrusted: `request`
async function answer(sources: HttpSources, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', url = '' } = request
  const page = PAGES.get(url.split('?')[0] ?? '')
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, {
      'content-type': type,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    response.end(method === 'HEAD' ? '' : body)
  }
  if (!page) return send(404, TEXT, 'not found\n')
  if (method !== 'GET' && method !== 'HEAD') return send(405, TEXT, 'only GET and HEAD\n')
  try {
    const { status, type, body } = await page(sources)
    send(status, type, body)
  } catch {
    // Whatever a source threw belongs into the log of the agent, not into an answer.
    send(500, TEXT, 'failed\n')
  }
}
