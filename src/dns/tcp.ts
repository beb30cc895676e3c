// One TCP socket on one address of the fence (RFC 7766): length-prefixed messages, several on the way at a time, answered as
// they are done. Bounded in every direction: connections of a client and in all, octets of a message, questions in flight,
// what a client leaves unread, and time. A client that has closed its half still gets the answers that it asked for.

import { createServer, type Socket } from 'node:net'
import type { CounterSet } from './counters.js'
import { type Listener, type Place, type Serve, scoped } from './udp.js'
import { readQuery, writeReply } from './wire.js'

export const TCP_LIMITS = {
  connections: 256,
  connectionsOfClient: 16,
  /** A question with options is far smaller; what announces more is not read. */
  messageOctets: 4_096,
  inFlight: 64,
  /** Answers that the client has not read. */
  unreadOctets: 1 << 18,
  idleMs: 10_000,
} as const

const MAX_OCTETS = 65_535

/** Resolves when bound. Rejects as `listenUdp`. */
export async function listenTcp(place: Place, serve: Serve, counters: CounterSet): Promise<Listener> {
  const open = new Map<string, number>()
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const from = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    const count = open.get(from.address) ?? 0
    if (count >= TCP_LIMITS.connectionsOfClient) {
      counters.plain.add('connectionRefused')
      socket.destroy()
      return
    }
    counters.plain.add('accepted')
    open.set(from.address, count + 1)
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      const left = (open.get(from.address) ?? 1) - 1
      if (left === 0) open.delete(from.address)
      else open.set(from.address, left)
    })
    converse(socket, from, serve, counters)
  })
  server.maxConnections = TCP_LIMITS.connections
  server.on('drop', () => counters.plain.add('connectionRefused'))
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen({ host: scoped(place), port: place.port, ipv6Only: true, exclusive: true }, () => {
      server.off('error', failed)
      server.on('error', () => counters.plain.add('dropped'))
      done()
    })
  })
  const bound = server.address()
  return {
    place,
    port: bound !== null && typeof bound === 'object' ? bound.port : place.port,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function converse(socket: Socket, from: { address: string; port: number }, serve: Serve, counters: CounterSet): void {
  let held: Buffer = Buffer.alloc(0)
  let partial: ReturnType<typeof setTimeout> | undefined
  let inFlight = 0
  let ended = false
  const finish = (): void => {
    if (ended && inFlight === 0) socket.end()
  }
  // Refreshed by every octet in either direction; a message that has begun has as long to end, however it trickles.
  socket.setTimeout(TCP_LIMITS.idleMs, () => socket.destroy())
  socket.once('close', () => clearTimeout(partial))
  socket.on('error', () => socket.destroy())
  socket.on('end', () => {
    ended = true
    finish()
  })
  const say = (octets: Uint8Array): void => {
    if (socket.destroyed) return
    const length = Buffer.alloc(2)
    length.writeUInt16BE(octets.length)
    socket.write(Buffer.concat([length, octets]))
    if (socket.writableLength > TCP_LIMITS.unreadOctets) socket.destroy()
  }
  const take = (): void => {
    while (held.length >= 2 && inFlight < TCP_LIMITS.inFlight) {
      const length = held.readUInt16BE(0)
      if (length === 0 || length > TCP_LIMITS.messageOctets) {
        counters.plain.add('malformed')
        socket.destroy()
        return
      }
      if (held.length < length + 2) break
      const message = held.subarray(2, length + 2)
      held = held.subarray(length + 2)
      const received = readQuery(message)
      if (received.kind !== 'query') {
        counters.plain.add(received.kind === 'ignored' ? 'dropped' : 'malformed')
        if (received.kind === 'refused') say(received.reply)
        // Who sends what is no question will not begin to.
        else socket.destroy()
        continue
      }
      counters.plain.add('tcp')
      inFlight++
      void serve(received, from, 'tcp').then((reply) => {
        inFlight--
        say(writeReply(received, reply, MAX_OCTETS).octets)
        if (socket.isPaused()) socket.resume()
        take()
        finish()
      })
    }
    if (inFlight >= TCP_LIMITS.inFlight) socket.pause()
    else if (held.length === 0) {
      clearTimeout(partial)
      partial = undefined
    } else partial ??= setTimeout(() => socket.destroy(), TCP_LIMITS.idleMs)
  }
  socket.on('data', (data: Buffer) => {
    held = held.length === 0 ? data : Buffer.concat([held, data])
    take()
  })
}
