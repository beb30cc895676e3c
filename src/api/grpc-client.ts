// A client of the agent's gRPC, for programs of ours on the same fleet: mutual TLS, typed methods, a deadline on every call.
// Errors arrive as grpc-js gives them, with `sluice-code` and `sluice-remedy` in their metadata.

import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import type { Fault } from '../base/fault.js'
import { definitionOf, type MethodName, type RequestOf, type ResponseOf } from './methods.js'
import { fromStatus } from './status.js'

export { sessionOf } from './convert-sessions.js'

export interface ClientTerms {
  /** `127.0.0.1:7443`. */
  readonly address: string
  /** The name that the server's certificate must have. */
  readonly serverName: string
  /** PEM. */
  readonly ca: Buffer
  readonly certificate: Buffer
  readonly key: Buffer
}

/** A request as it is written: fields that are left out have their default. */
export type Draft<M extends MethodName> = Partial<RequestOf<M>>

const DEADLINE_MS = 30_000
/**
 * Calls are refused at once while a connection waits for its next attempt, which by default may be two minutes after an outage is over: a
 * kill must not wait for that. A connection whose other end is gone without a word is noticed before the deadline of a fence. */
const LINK = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 20_000,
}

/** What a call was refused with: the fault that it was at the other end, or why there was no answer; undefined for a defect of ours. */
export function refusalOf(error: unknown): Fault | { readonly why: string } | undefined {
  const { code, details, metadata } = error as Partial<ServiceError>
  if (code === undefined || details === undefined || metadata === undefined) return undefined
  return fromStatus(error as ServiceError) ?? { why: `${status[code]}: ${details}` }
}

export class AgentClient {
  private readonly client: Client

  constructor({ address, serverName, ca, certificate, key }: ClientTerms) {
    this.client = new Client(address, credentials.createSsl(ca, key, certificate), {
      'grpc.ssl_target_name_override': serverName,
      'grpc.max_receive_message_length': 128 << 20,
      ...LINK,
    })
  }

  call<M extends Exclude<MethodName, 'Audit/StreamEvents'>>(
    name: M,
    request: Draft<M>,
    deadlineMs = DEADLINE_MS,
  ): Promise<ResponseOf<M>> {
    const { path, requestSerialize, responseDeserialize } = definitionOf(name)
    const deadline = Date.now() + deadlineMs
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request as RequestOf<M>,
        new Metadata(),
        { deadline },
        (error, response) => {
          if (error) reject(error)
          else if (response) resolve(response)
        },
      )
    })
  }

  /** Events after a number of a chain ('': of whatever chain), until the signal. */
  async *events(
    afterSequence: number,
    signal: AbortSignal,
    chainUid = '',
  ): AsyncIterable<ResponseOf<'Audit/StreamEvents'>> {
    const { path, requestSerialize, responseDeserialize } = definitionOf('Audit/StreamEvents')
    const request = { afterSequence, chainUid } as RequestOf<'Audit/StreamEvents'>
    const call = this.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request)
    const stop = (): void => {
      call.cancel()
    }
    signal.addEventListener('abort', stop, { once: true })
    try {
      for await (const message of call) yield message as ResponseOf<'Audit/StreamEvents'>
    } catch (error) {
      // Ending it by the signal arrives as a cancelled call.
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', stop)
      call.cancel()
    }
  }

  close(): void {
    this.client.close()
  }
}
