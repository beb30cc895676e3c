// A real TLS server on this machine whose every answer a test decides, and what was asked of it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Tls } from './tls.js'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface Web {
  readonly url: URL
  readonly port: number
  /** `GET /path`, in order. */
  readonly asked: string[]
  readonly headers: IncomingMessage['headers'][]
  answer: Answer
  close(): Promise<void>
}

export async function serve(tls: Tls, answer: Answer, host = 'localhost'): Promise<Web> {
  const sockets = new Set<Duplex>()
  const asked: string[] = []
  const headers: IncomingMessage['headers'][] = []
  const server = createServer({ cert: tls.cert, key: tls.key }, (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    headers.push(request.headers)
    web.answer(request, response)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A client that refuses the certificate resets the connection; that is what the test looks at.
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const web: Web = {
    url: new URL(`https://${host}:${port}/`),
    port,
    asked,
    headers,
    answer,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
  return web
}

/** Serves these files with a strong entity tag, ranges and conditions, and 404 for the rest. */
export const files =
  (content: ReadonlyMap<string, Uint8Array>): Answer =>
  (request, response) => {
    const body = content.get((request.url ?? '').slice(1))
    if (!body) return void response.writeHead(404).end()
    const tag = `"${body.length}-${body.reduce((sum, octet) => (sum * 31 + octet) % 1_000_000_007, 7)}"`
    if (request.headers['if-none-match'] === tag) return void response.writeHead(304, { etag: tag }).end()
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const fits = request.headers['if-range'] === undefined || request.headers['if-range'] === tag
    if (from === 0 || !fits) return void response.writeHead(200, { etag: tag, 'content-length': body.length }).end(body)
    const range = `bytes ${from}-${body.length - 1}/${body.length}`
    return void response.writeHead(206, { etag: tag, 'content-range': range }).end(body.subarray(from))
  }
