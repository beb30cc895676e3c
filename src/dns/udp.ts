// One UDP socket on one address of the fence. Hands each question over and sends what comes back from the same address and
// port; answers late or never for what is not worth it. A flood of one workspace is dropped beyond what is in flight, so that
// the others are still heard.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { CounterSet } from './counters.js'
import type { Reply } from './mediate.js'
import { type Query, readQuery, udpLimit, writeReply } from './wire.js'

export interface Place {
  readonly address: string
  readonly port: number
  /** Interface of a link-local address. */
  readonly scope?: string
}

/** Gives the reply; `from` is the client as the socket says. */
export type Serve = (query: Query, from: { address: string; port: number }, transport: 'udp' | 'tcp') => Promise<Reply>

/** Questions of one client in flight, UDP and TCP each. */
export const MAX_IN_FLIGHT = 256

export interface Listener {
  readonly place: Place
  readonly port: number
  close(): Promise<void>
}

export const scoped = ({ address, scope }: Place): string => (scope === undefined ? address : `${address}%${scope}`)

/** Resolves when bound. Rejects with the system's error, EADDRNOTAVAIL while the address is not there yet. */
export async function listenUdp(place: Place, serve: Serve, counters: CounterSet): Promise<Listener> {
  const six = place.address.includes(':')
  const socket = createSocket({ type: six ? 'udp6' : 'udp4', ipv6Only: six, recvBufferSize: 1 << 20 })
  const inFlight = new Map<string, number>()
  socket.on('message', (message, from) => {
    const received = readQuery(message)
    if (received.kind === 'ignored') counters.plain.add('dropped')
    else if (received.kind === 'refused') {
      counters.plain.add('malformed')
      send(socket, received.reply, from)
    } else {
      const count = inFlight.get(from.address) ?? 0
      if (count >= MAX_IN_FLIGHT) return counters.plain.add('dropped')
      counters.plain.add('udp')
      inFlight.set(from.address, count + 1)
      void serve(received, from, 'udp').then((reply) => {
        const left = (inFlight.get(from.address) ?? 1) - 1
        if (left === 0) inFlight.delete(from.address)
        else inFlight.set(from.address, left)
        const { octets, truncated } = writeReply(received, reply, udpLimit(received))
        if (truncated) counters.plain.add('truncated')
        send(socket, octets, from)
      })
    }
  })
  await new Promise<void>((done, failed) => {
    socket.once('error', failed)
    socket.bind({ address: scoped(place), port: place.port, exclusive: true }, () => {
      socket.off('error', failed)
      // Errors of single datagrams (a client that is gone) are the client's.
      socket.on('error', () => counters.plain.add('dropped'))
      done()
    })
  })
  const { port } = socket.address()
  return { place, port, close: () => new Promise((done) => socket.close(() => done())) }
}

function send(socket: Socket, octets: Uint8Array, to: RemoteInfo): void {
  try {
    // A client that cannot be reached is told nothing, and asks again.
    socket.send(octets, to.port, to.address, () => undefined)
  } catch {
    // The socket was closed while the answer was on its way.
  }
}
