// The gRPC server of an agent: mutual TLS 1.2 or later, a closed table of methods, and before each of them, in this order:
// who calls, whether the certificate still holds, whether the role may, whether it asks too often. A caller learns which of
// these refused it and nothing of what it asked for. Standard health and reflection answer every good certificate.

import {
  Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedHandleCall,
} from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation } from 'grpc-health-check'
import { Buckets, DECISIONS, QUESTIONS, URGENT } from './buckets.js'
import { type CertificateFiles, watchCertificates } from './certificates.js'
import { apiFault } from './errors.js'
import { DESCRIPTOR } from './gen/descriptor.js'
import { type Handlers, handlersOf, type UnaryName } from './handlers.js'
import { contextOf, identityOf } from './identity.js'
import { PACKAGE } from './messages.js'
import { definitionOf, METHOD_NAMES, type MethodName } from './methods.js'
import type { AgentPorts, Asker } from './ports.js'
import { type Caller, type Callers, mayCall, rolesOf } from './roles.js'
import { toStatus } from './status.js'

export interface ApiTerms {
  /** `127.0.0.1:7443`, `[::1]:7443`; port 0 takes any. */
  readonly listen: string
  readonly files: CertificateFiles
  readonly callers: Callers
}

export interface ApiServer {
  readonly port: number
  /** Ready means that the fence is read back. */
  setReady(ready: boolean): void
  /** Reads the certificates now. Throws API_CERTIFICATE. */
  reload(): boolean
  close(): Promise<void>
}

export interface ApiEffects {
  readonly nowMs: () => number
  readonly monotonicMs: () => number
  /** What no caller is told: certificates that cannot be used, defects of ours. */
  readonly failed: (error: unknown) => void
  /** Somebody with a good certificate was refused a method: it is not for their roles, or they ask too often. */
  readonly refused?: (caller: string, method: MethodName) => void
}

/** No request of ours is longer; a plan in an answer may be. */
const MAX_REQUEST_BYTES = 64 << 10
const MAX_RESPONSE_BYTES = 128 << 20
/** A caller that sets no deadline gets this one, and one that sets a later one gets it too. */
const LONGEST_MS = 30_000
/** Evidence is earned by round trips and by waiting for a witness. */
const LONGEST_FOR: { readonly [M in MethodName]?: number } = { 'Evidence/MakeEvidence': 120_000 }
const CLOSE_MS = 2_000
const OPTIONS = {
  'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
  'grpc.max_send_message_length': MAX_RESPONSE_BYTES,
  'grpc.max_concurrent_streams': 64,
  'grpc.max_metadata_size': 8 << 10,
  'grpc.max_connection_idle_ms': 300_000,
  // A certificate that was replaced or withdrawn is not used for ever by a connection that stays open.
  'grpc.max_connection_age_ms': 3_600_000,
  'grpc.max_connection_age_grace_ms': 30_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
}

/** Throws API_CERTIFICATE, API_SOCKET. */
export async function serveApi(agent: AgentPorts, terms: ApiTerms, effects: ApiEffects): Promise<ApiServer> {
  const certificates = watchCertificates(terms.files, effects.failed)
  const server = new Server(OPTIONS)
  const guard = new Guard(terms.callers, effects)
  const handlers = handlersOf(agent)
  server.addService(
    Object.fromEntries(METHOD_NAMES.map((name) => [name, definitionOf(name)])),
    Object.fromEntries(METHOD_NAMES.map((name) => [name, serverCall(name, handlers, guard, effects)])),
  )
  const health = new HealthImplementation({ '': 'NOT_SERVING' })
  health.addToServer(server)
  const set = { fileDescriptorProtos: filesOf(Buffer.from(DESCRIPTOR, 'base64')) }
  new ReflectionService({ [PACKAGE]: set as never }).addToServer(server)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(terms.listen, certificates.credentials, (error, bound) => {
      if (error) reject(apiFault('API_SOCKET', { path: terms.listen, why: error.message }, { cause: error }))
      else resolve(bound)
    })
  }).catch((error: unknown) => {
    certificates.close()
    throw error
  })
  return {
    port,
    setReady: (ready) => {
      health.setStatus('', ready ? 'SERVING' : 'NOT_SERVING')
    },
    reload: () => certificates.reload(),
    close: async () => {
      certificates.close()
      const hurry = setTimeout(() => {
        server.forceShutdown()
      }, CLOSE_MS)
      await new Promise<void>((resolve) => {
        server.tryShutdown(() => {
          resolve()
        })
      })
      clearTimeout(hurry)
    },
  }
}

type Call = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>

/** Everything that is asked before a method runs. */
class Guard {
  private readonly questions = new Buckets(QUESTIONS)
  private readonly decisions = new Buckets(DECISIONS)
  private readonly urgent = new Buckets(URGENT)

  constructor(
    private readonly callers: Callers,
    private readonly effects: ApiEffects,
  ) {}

  /** Throws API_IDENTITY, API_DENIED, API_TOO_OFTEN. */
  admit(call: Call, method: MethodName): Caller {
    const context = contextOf(call)
    const id = identityOf(context)
    const { valid_from: from, valid_to: to } = context.sslPeerCertificate ?? { valid_from: '', valid_to: '' }
    const nowMs = this.effects.nowMs()
    // TLS has judged it when the connection was made; connections and sessions may outlive a certificate.
    if (!(Date.parse(from) <= nowMs && nowMs < Date.parse(to)))
      throw apiFault('API_IDENTITY', { why: 'the certificate is not valid now' })
    const caller = { id, roles: rolesOf(id, this.callers) }
    const buckets = this.bucketsOf(method)
    // Refusals cost a token too, so that whoever may do nothing cannot do it for ever.
    const often = !buckets.take(id, this.effects.monotonicMs())
    if (!often && mayCall(caller, method)) return caller
    this.effects.refused?.(id, method)
    throw often ? apiFault('API_TOO_OFTEN', { who: id }) : apiFault('API_DENIED', { who: id, what: `call ${method}` })
  }

  private bucketsOf(method: MethodName): Buckets {
    if (method === 'Enforcement/Quarantine') return this.urgent
    return method === 'Decision/CheckAction' ? this.decisions : this.questions
  }
}

function serverCall(name: MethodName, handlers: Handlers, guard: Guard, effects: ApiEffects): UntypedHandleCall {
  const refuse = (error: unknown) => {
    const status = toStatus(error)
    if (status.metadata.get('sluice-code')[0] === 'INTERNAL') effects.failed(error)
    return status
  }
  if (name === 'Audit/StreamEvents')
    return (call: ServerWritableStream<unknown, unknown>) => {
      void stream(call, () => {
        const { id } = guard.admit(call, name)
        return handlers[name](call.request as never, { id, signal: endOf(call) })
      }).catch((error: unknown) => {
        call.emit('error', refuse(error))
      })
    }
  return (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) => {
    unary(call, name, handlers, guard).then(
      (response) => {
        answer(null, response)
      },
      (error: unknown) => {
        answer(refuse(error))
      },
    )
  }
}

async function unary(
  call: ServerUnaryCall<unknown, unknown>,
  name: UnaryName,
  handlers: Handlers,
  guard: Guard,
): Promise<unknown> {
  const caller = guard.admit(call, name)
  let late: NodeJS.Timeout | undefined
  const ms = LONGEST_FOR[name] ?? LONGEST_MS
  const deadline = new Promise<never>((_resolve, reject) => {
    late = setTimeout(() => {
      reject(apiFault('API_DEADLINE', { method: name, ms }))
    }, ms)
  })
  const asker: Asker = { id: caller.id, signal: endOf(call) }
  try {
    const handle = handlers[name] as (request: never, asker: Asker, caller: Caller) => Promise<unknown>
    return await Promise.race([handle(call.request as never, asker, caller), deadline])
  } finally {
    clearTimeout(late)
  }
}

/** Writes as fast as the caller reads. */
async function stream(call: ServerWritableStream<unknown, unknown>, open: () => AsyncIterable<unknown>): Promise<void> {
  for await (const message of open()) {
    if (call.cancelled) break
    if (!call.write(message) && !call.cancelled)
      await new Promise<void>((resolve) => {
        // Whichever comes first takes the other away: a slow reader waits often.
        const go = (): void => {
          call.off('drain', go)
          call.off('cancelled', go)
          resolve()
        }
        call.on('drain', go)
        call.on('cancelled', go)
      })
  }
  call.end()
}

/** Aborted when the caller goes away. */
function endOf(call: Call): AbortSignal {
  const ended = new AbortController()
  call.once('cancelled', () => {
    ended.abort()
  })
  return ended.signal
}

/** The files of a FileDescriptorSet: field 1, length-delimited, repeated (descriptor.proto). */
function filesOf(set: Buffer): Buffer[] {
  const files: Buffer[] = []
  for (let at = 0; at < set.length; ) {
    if (set[at++] !== 0x0a) throw new TypeError('the generated descriptor is damaged')
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const octet = set[at++] ?? 0
      length |= (octet & 0x7f) << shift
      if (octet < 0x80) break
    }
    files.push(set.subarray(at, at + length))
    at += length
  }
  return files
}
