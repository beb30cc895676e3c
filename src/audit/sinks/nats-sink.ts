// The sink `nats`: events into a JetStream stream that an operator made, each under its `metadata.uid` as message id, so that
// the stream drops what comes again within its window. One event after the other: the next leaves when the stream has the
// one before, since a leader that changes may lose an event and keep the next, and then the order would be gone. The last
// message of the subject says how far the stream is; with a subject a node nothing comes again at all. It needs leave to publish
// to the subject, `$JS.API.STREAM.INFO.STREAM` and `$JS.API.STREAM.MSG.GET.STREAM`, and to hear its inbox; without the second and
// third the window of the stream alone drops what comes again.

import { readFileSync } from 'node:fs'
import type { JetStreamClient } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { decodeUtf8 } from '../../base/bytes.js'
import { sinkFault } from './errors.js'
import type { Sink, SinkLine } from './sink.js'
import { placeOf } from './spool.js'

export interface NatsSinkTerms {
  readonly name: string
  /** `tls://HOST:PORT`; `nats://` is for loopback. */
  readonly servers: readonly string[]
  readonly stream: string
  readonly subject: string
  /** A `.creds` file, or one with a token. */
  readonly credentialsFile?: string
  readonly tokenFile?: string
  readonly caFile?: string
  readonly certificateFile?: string
  readonly keyFile?: string
}

/** JSStreamMessageExceedsMaximumErr of nats-server's errors.json. */
const TOO_LARGE = 10054
const CONNECT_MS = 5_000
const ACK_MS = 5_000

/** Connects. Throws AUDIT_SINK_UNAVAILABLE, and the system's error when a file cannot be read. */
export async function openNatsSink(terms: NatsSinkTerms): Promise<Sink> {
  // Loaded where it is wanted: a node without such a sink does not carry its weight.
  const { jetstream, jetstreamManager } = await import('@nats-io/jetstream')
  const connection = await connectTo(terms)
  const stream = jetstream(connection, { timeout: ACK_MS })
  return {
    deliver: async (lines, signal) => {
      const stop = (): void => {
        void connection.close()
      }
      signal.addEventListener('abort', stop)
      try {
        for (const line of lines) await publish(terms, connection, stream, line)
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },
    last: async () => {
      try {
        const manager = await jetstreamManager(connection, { checkAPI: false, timeout: ACK_MS })
        // A nats-server 2.9 that is asked for a message while it makes the stream has no store yet and ends itself.
        const { state } = await manager.streams.info(terms.stream)
        if (state.messages === 0) return undefined
        const found = await manager.streams.getMessage(terms.stream, { last_by_subj: terms.subject })
        return placeOf(decodeUtf8(found?.data ?? new Uint8Array()) ?? '')
      } catch {
        // Nobody may look there, or nothing is there: then the window of the stream drops what comes again.
        return undefined
      }
    },
    close: () => connection.close(),
  }
}

/** Throws AUDIT_SINK_UNAVAILABLE, and the system's error when a file cannot be read. */
export async function connectTo(terms: NatsSinkTerms): Promise<NatsConnection> {
  const { name: sink, servers, credentialsFile, tokenFile, caFile, certificateFile, keyFile } = terms
  const { connect, credsAuthenticator, tokenAuthenticator } = await import('@nats-io/transport-node')
  const clear = servers.every((server) => server.startsWith('nats://'))
  const authenticator =
    credentialsFile !== undefined
      ? credsAuthenticator(readFileSync(credentialsFile))
      : tokenFile !== undefined
        ? tokenAuthenticator(readFileSync(tokenFile, 'utf8').trim())
        : undefined
  try {
    return await connect({
      servers: [...servers],
      name: 'sluice',
      timeout: CONNECT_MS,
      // Whoever delivers decides when it is tried again.
      reconnect: false,
      ...(authenticator ? { authenticator } : {}),
      tls: clear
        ? null
        : {
            ...(caFile === undefined ? {} : { caFile }),
            ...(certificateFile === undefined ? {} : { certFile: certificateFile }),
            ...(keyFile === undefined ? {} : { keyFile }),
          },
    })
  } catch (cause) {
    throw sinkFault('AUDIT_SINK_UNAVAILABLE', { sink, why: 'no server of it can be reached' }, { cause })
  }
}

async function publish(
  { name: sink, stream, subject }: NatsSinkTerms,
  connection: NatsConnection,
  client: JetStreamClient,
  { uid, text }: SinkLine,
): Promise<void> {
  const octets = Buffer.from(text)
  const limit = connection.info?.max_payload ?? Number.POSITIVE_INFINITY
  if (octets.length > limit)
    throw sinkFault('AUDIT_SINK_REFUSED', { sink, why: `the server takes ${limit} octets a message` })
  try {
    await client.publish(subject, octets, { msgID: uid, expect: { streamName: stream }, timeout: ACK_MS })
  } catch (cause) {
    const code = (cause as { readonly code?: unknown }).code
    if (code === TOO_LARGE)
      throw sinkFault('AUDIT_SINK_REFUSED', { sink, why: 'the message is too large for the stream' }, { cause })
    throw sinkFault('AUDIT_SINK_UNAVAILABLE', { sink, why: `the stream ${stream} did not take an event` }, { cause })
  }
}
