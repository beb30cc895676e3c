// The sink `syslog`: RFC 5424 messages over TLS (RFC 5425). The protocol has no acknowledgement, so a batch is a connection: it
// is sent, closed from our side (close_notify), and counts as delivered when the receiver closes its side too and nothing was
// reset. An alert, a reset or silence means that the batch is sent again. What a receiver has read and then loses before it
// keeps it is lost: a protocol that answers (http, nats) knows better.

import { readFileSync } from 'node:fs'
import { connect, type TLSSocket } from 'node:tls'
import { sinkFault } from './errors.js'
import type { Sink } from './sink.js'
import { type SyslogTerms, syslogFrames } from './syslog-frame.js'

export interface SyslogSinkTerms extends SyslogTerms {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly caFile?: string
  readonly certificateFile?: string
  readonly keyFile?: string
}

/** Fails with the system's error when a file cannot be read; connects with each batch. */
export function openSyslogSink(terms: SyslogSinkTerms): Promise<Sink> {
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
  const [ca, cert, key] = [read(terms.caFile), read(terms.certificateFile), read(terms.keyFile)]
  const { name: sink, host, port } = terms
  const files = { ...(ca ? { ca } : {}), ...(cert && key ? { cert, key } : {}) }
  return Promise.resolve({
    deliver: async (lines, signal) => {
      const socket = connect({ host, port, servername: nameOf(host), minVersion: 'TLSv1.2', ...files })
      const stop = (): void => {
        socket.destroy(new TypeError('it did not close the connection in time'))
      }
      signal.addEventListener('abort', stop)
      try {
        await exchange(socket, syslogFrames(lines, terms))
      } catch (cause) {
        throw sinkFault('AUDIT_SINK_UNAVAILABLE', { sink, why: `${host}:${port} did not take a batch` }, { cause })
      } finally {
        signal.removeEventListener('abort', stop)
        socket.destroy()
      }
    },
    close: () => Promise.resolve(),
  })
}

/** An address has no name to ask for (RFC 6066 section 3). */
const nameOf = (host: string): string => (/^[\d.]+$|:/.test(host) ? '' : host)

/** Resolves when the other side has closed after all of it. */
function exchange(socket: TLSSocket, octets: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = false
    socket.on('error', reject)
    socket.on('secureConnect', () => {
      socket.end(octets, () => {
        sent = true
      })
    })
    // Whatever a receiver says is read, so that its end is seen.
    socket.resume()
    socket.on('end', () => {
      if (sent) resolve()
      else reject(new TypeError('it closed the connection before everything was sent'))
    })
    socket.on('close', () => {
      reject(new TypeError('the connection broke'))
    })
  })
}
