// A name server in this process whose every octet a test decides: on UDP, TCP and TLS, on one port of loopback. What is said is
// what `say` gives: nothing, one message or several, each after whatever it waits for. Counts what arrives, and from where.

import { createSocket } from 'node:dgram'
import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { type Answer, decode, encode, type Packet } from 'dns-packet'
import { Deframer, framed } from '../../../src/dns/upstream/frame.js'
import type { Tls } from '../tls.js'
import { freePort } from './ports.js'

export interface Asked {
  readonly way: 'udp' | 'tcp' | 'tls'
  readonly id: number
  /** As it came, case included. */
  readonly name: string
  readonly type: string
  readonly fromPort: number
  /** The message as it came. */
  readonly octets: Uint8Array
  /** Sends, at once, whatever else is given back. */
  readonly send: (octets: Uint8Array) => void
  /** Only on streams: sends octets without a length, and ends the connection. */
  readonly raw: (octets: Uint8Array) => void
  readonly end: () => void
}
export type Say = (asked: Asked) => Uint8Array | readonly Uint8Array[] | undefined | Promise<Uint8Array | undefined>

export interface Hostile {
  readonly address: string
  readonly port: number
  readonly tlsPort: number
  readonly asked: readonly Asked[]
  say: Say
  /** Stream connections that were accepted, and those that are open. */
  readonly accepted: () => number
  readonly openNow: () => number
  close(): Promise<void>
}

/** The reply that a good server gives, with anything changed. */
export const replyTo = (asked: Asked, answers: readonly Answer[], more: Packet = {}): Uint8Array =>
  encode({
    type: 'response',
    id: asked.id,
    questions: [{ name: asked.name, type: asked.type as 'A', class: 'IN' }],
    answers: [...answers],
    ...more,
  })

export const address = (asked: Asked, data = '45.76.10.10', ttl = 60): Answer =>
  asked.type === 'AAAA'
    ? { type: 'AAAA', name: asked.name, ttl, data: '2a05:9:9::10' }
    : { type: 'A', name: asked.name, ttl, data }

export async function startHostile(say: Say, tls?: Tls): Promise<Hostile> {
  const host = '127.0.0.1'
  const port = await freePort(host)
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  let accepted = 0
  const hear = async (one: Asked): Promise<void> => {
    asked.push(one)
    const said = await hostile.say(one)
    for (const octets of said === undefined ? [] : said instanceof Uint8Array ? [said] : said) one.send(octets)
  }
  const arrived = (
    octets: Uint8Array,
    way: Asked['way'],
    fromPort: number,
    link: Pick<Asked, 'send' | 'raw' | 'end'>,
  ) => {
    const { id = 0, questions } = decode(Buffer.from(octets))
    const [{ name, type } = { name: '', type: '' }] = questions ?? []
    void hear({ ...link, way, id, name, type, fromPort, octets: Uint8Array.from(octets) })
  }
  const udp = createSocket('udp4')
  udp.on('message', (octets, from) => {
    const send = (out: Uint8Array): void => udp.send(out, from.port, from.address)
    arrived(octets, 'udp', from.port, { send, raw: send, end: () => undefined })
  })
  const converse =
    (way: 'tcp' | 'tls') =>
    (socket: Socket): void => {
      accepted++
      sockets.add(socket)
      const deframer = new Deframer()
      socket.on('close', () => sockets.delete(socket))
      // A client that leaves in the middle is part of what is tested.
      socket.on('error', () => socket.destroy())
      const link = {
        send: (out: Uint8Array) => void socket.write(framed(out)),
        raw: (out: Uint8Array) => void socket.write(out),
        end: () => void socket.destroy(),
      }
      socket.on('data', (chunk: Uint8Array) => {
        for (const octets of deframer.push(chunk) ?? []) arrived(octets, way, socket.remotePort ?? 0, link)
      })
    }
  const tcp = createServer({ noDelay: true }, converse('tcp'))
  const secure = tls && createTlsServer({ cert: tls.cert, key: tls.key }, converse('tls'))
  secure?.on('tlsClientError', () => undefined)
  const tlsPort = tls ? await freePort(host) : 0
  await new Promise<void>((resolve) => udp.bind(port, host, resolve))
  await new Promise<void>((resolve) => tcp.listen(port, host, resolve))
  if (secure) await new Promise<void>((resolve) => secure.listen(tlsPort, host, resolve))
  const hostile: Hostile = {
    address: host,
    port,
    tlsPort,
    asked,
    say,
    accepted: () => accepted,
    openNow: () => sockets.size,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => udp.close(() => resolve()))
      await new Promise<void>((resolve) => tcp.close(() => resolve()))
      if (secure) await new Promise<void>((resolve) => secure.close(() => resolve()))
    },
  }
  return hostile
}
