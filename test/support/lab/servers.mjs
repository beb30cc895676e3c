// The servers of a station: HTTP (with a bulk download at a given rate), TCP echo, UDP echo. Each answers with the address
// it was reached at, so that a probe can tell that it reached the right place. `served` counts what arrived, whatever
// became of the answer.

import { createSocket } from 'node:dgram'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'

const counts = { http: 0, tcp: 0, udp: 0 }
const open = new Set()
const bulk = new Set()
let feeds = 0
const TICK_MS = 2
const TURNS = 10

// One timer feeds every download: a timer for each of a thousand would be the load, not the flows. Each tick feeds a tenth of
// them, so that together they send evenly and the moment of a cut can be told to about a tick.
let turn = 0
setInterval(() => {
  turn = (turn + 1) % TURNS
  for (const feed of bulk) {
    if (feed.turn !== turn) continue
    const nowMs = performance.now()
    const whole = Math.floor((feed.rate * (nowMs - feed.fedMs)) / 1000)
    if (whole === 0 || feed.response.writableNeedDrain) continue
    feed.fedMs = nowMs
    feed.response.write(Buffer.alloc(whole, 0x62))
  }
}, TICK_MS).unref()

const plain = (address) => (address ?? '').replace(/^::ffff:/, '')

function handle(request, response) {
  counts.http++
  const url = new URL(request.url, 'http://station.example')
  if (url.pathname !== '/bulk') {
    response.setHeader('x-reached', plain(request.socket.localAddress))
    response.setHeader('x-source', plain(request.socket.remoteAddress))
    response.end(`reached ${plain(request.socket.localAddress)} port ${request.socket.localPort}\n`)
    return
  }
  request.socket.setNoDelay(true)
  const feed = { response, rate: Number(url.searchParams.get('rate')), turn: ++feeds % TURNS, fedMs: performance.now() }
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  bulk.add(feed)
  // A reset is how a cut download ends here; the client's side is what is judged.
  response.on('error', () => bulk.delete(feed))
  response.on('close', () => bulk.delete(feed))
}

const listening = (server, at) =>
  new Promise((done, failed) => {
    server.once('error', failed)
    server.listen({ host: '::', ...at }, () => {
      open.add(server)
      done()
    })
  })

export async function serveHttp({ ports }) {
  for (const port of ports) {
    const server = createHttpServer(handle)
    server.maxConnections = 20_000
    await listening(server, { port, backlog: 4096 })
  }
}

export async function serveTcpEcho({ ports }) {
  for (const port of ports) {
    const server = createServer((socket) => {
      counts.tcp++
      socket.setNoDelay(true)
      // A reset ends the connection of a client that was cut; there is nobody left to tell.
      socket.on('error', () => socket.destroy())
      socket.pipe(socket)
    })
    await listening(server, { port })
  }
}

/** One socket for each address: a wildcard socket would answer from whatever address the route prefers. */
export async function serveUdpEcho({ addresses, ports }) {
  for (const address of addresses) {
    for (const port of ports) {
      const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4' })
      await new Promise((done, failed) => {
        socket.once('error', failed)
        socket.bind({ address, port, exclusive: true }, done)
      })
      socket.removeAllListeners('error')
      // An ICMP error about an earlier answer: the sender is judged by what it saw, not by this.
      socket.on('error', () => undefined)
      socket.on('message', (data, from) => {
        counts.udp++
        socket.send(data, from.port, from.address)
      })
      open.add(socket)
    }
  }
}

export const served = () => counts

export function stopServing() {
  for (const server of open) {
    server.close()
    server.closeAllConnections?.()
  }
  open.clear()
}
