// One question over UDP: a socket of its own, so that the kernel draws a port for it at random (RFC 5452 section 9.2), connected,
// so that only the asked address and port can answer. Whatever arrives and is not the answer is counted and ignored until
// the time is over: a forger who is first must not win by being wrong.

import { createSocket, type Socket } from 'node:dgram'
import { dnsFault } from '../errors.js'
import type { UpstreamCounters } from './counters.js'
import { printUpstream, type UpstreamAddress } from './parse.js'
import { encodeQuery, type Query } from './query.js'
import { type Reply, readReply } from './reply.js'

/** The answer, or why the question is to be put over TCP. */
export type DatagramReply = Extract<Reply, { kind: 'answer' | 'truncated' }> | { readonly kind: 'other-case' }

export interface Wait {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Throws DNS_UPSTREAM_SILENT, DNS_UPSTREAM_LINK, or what aborted the signal. */
export function askDatagram(
  to: UpstreamAddress,
  query: Query,
  { timeoutMs, signal }: Wait,
  counters: UpstreamCounters,
): Promise<DatagramReply> {
  const from = printUpstream(to)
  const octets = encodeQuery(query)
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error)
    const socket = openSocket(to.address)
    let finished = false
    const finish = (act: () => void): void => {
      // What was already on its way when the end came (the outcome of connecting or sending) changes nothing.
      if (finished) return
      finished = true
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
      socket.removeAllListeners()
      // A late ICMP error of a socket that nobody reads any more.
      socket.on('error', () => undefined)
      socket.close()
      act()
    }
    const aborted = (): void => finish(() => reject(signal.reason as Error))
    const timer = setTimeout(
      () => finish(() => reject(dnsFault('DNS_UPSTREAM_SILENT', { from, limitMs: Math.round(timeoutMs) }))),
      timeoutMs,
    )
    signal.addEventListener('abort', aborted)
    const broken = (cause: Error): void =>
      finish(() => reject(dnsFault('DNS_UPSTREAM_LINK', { from, why: sayLink(cause) }, { cause })))
    socket.once('error', broken)
    socket.on('message', (message) => {
      const reply = readReply(message, query)
      switch (reply.kind) {
        case 'answer':
        case 'truncated':
          return finish(() => resolve(reply))
        case 'stray':
          counters.strays[reply.why]++
          // Either a server that does not keep the case, or a forger who guessed port and id: TCP tells which.
          if (reply.why === 'case') finish(() => resolve({ kind: 'other-case' }))
          return undefined
        case 'malformed':
          counters.malformed++
          return undefined
      }
    })
    // Where there is no way to the address, the callback is told and no 'error' follows.
    socket.connect(to.port, to.address, (cause?: Error) => {
      if (cause) return broken(cause)
      counters.sentUdp++
      socket.send(octets, (cause) => {
        if (cause) broken(cause)
      })
      return undefined
    })
    return undefined
  })
}

/** Addresses are addresses: nothing here may ever reach the system's resolver. */
const openSocket = (address: string): Socket => {
  const family = address.includes(':') ? 6 : 4
  return createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    lookup: (host, _options, done) => done(null, host, family),
  })
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
  ENETUNREACH: 'there is no route to it',
  EHOSTUNREACH: 'there is no route to it',
  EADDRNOTAVAIL: 'this node has no address to reach it from',
  EACCES: 'this node may not send to it',
  EPERM: 'this node may not send to it',
}

/** The system's error code in words. */
export function sayLink(cause: Error): string {
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  return Object.hasOwn(WORDS, code) ? (WORDS[code] ?? '') : code === '' ? cause.message : code
}
