// The companion's gRPC, on a Unix socket of its own: no network, no certificates. Who asks is what the kernel says of the connection
// (peer.ts); root and the companion's own user are operators, anybody else is not served. Each of the two has a server of its own
// behind the one socket, so that an operation knows in whose name it is done.

import { createServer, type Socket } from 'node:net'
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedHandleCall,
} from '@grpc/grpc-js'
import { readWorkspace } from './convert.js'
import { readOpenSession, readSessionId, sessionMessage } from './convert-sessions.js'
import { apiFault } from './errors.js'
import {
  killStepMessage,
  listedMessage,
  outcomeMessage,
  readChange,
  readConsole,
  readKill,
  stepMessage,
  streamMessage,
} from './lifecycle-convert.js'
import {
  LIFECYCLE_METHOD_NAMES,
  LIFECYCLE_METHODS,
  type LifecycleMethod,
  type LifecycleRequest,
  type LifecycleResponse,
  lifecycleDefinition,
} from './lifecycle-methods.js'
import type { LifecyclePorts } from './lifecycle-ports.js'
import { v1 } from './messages.js'
import { peerOf } from './peer.js'
import { LIFECYCLE_ACCESS, type Role } from './roles.js'
import { claimSocket } from './socket-server.js'
import { toStatus } from './status.js'

type Streamed = 'Lifecycle/ChangeWorkspace' | 'Lifecycle/KillWorkspaces'
type Unary = Exclude<LifecycleMethod, Streamed>
type Handlers = {
  readonly [M in Unary]: (request: LifecycleRequest<M>, by: string) => Promise<LifecycleResponse<M>>
} & {
  readonly [M in Streamed]: (
    request: LifecycleRequest<M>,
    by: string,
    tell: (message: LifecycleResponse<M>) => void,
  ) => Promise<LifecycleResponse<M>>
}

const handlersOf = (companion: LifecyclePorts): Handlers => ({
  'Lifecycle/ChangeWorkspace': async (request, by, tell) => {
    const told = await companion.change({ ...readChange(request), by }, (step) => {
      tell(v1.ChangeWorkspaceResponse.create({ step: stepMessage(step) }))
    })
    return outcomeMessage(told)
  },
  'Lifecycle/KillWorkspaces': async (request, by, tell) => {
    const { report, receipt } = await companion.kill({ ...readKill(request), by }, (workspace, step) => {
      if (request.tellSteps) tell(killStepMessage(workspace, step))
    })
    return v1.KillWorkspacesResponse.create({ report, receipt })
  },
  'Lifecycle/ListWorkspaces': async () => {
    const { workspaces, streams } = await companion.list()
    const listed = { workspaces: workspaces.map(listedMessage), streams: streams.map(streamMessage) }
    return v1.ListWorkspacesResponse.create(listed)
  },
  'Lifecycle/ReadConsole': async (request) => {
    const { workspace, maxBytes } = readConsole(request)
    return v1.ReadConsoleResponse.create({ output: await companion.console(workspace, maxBytes) })
  },
  'Lifecycle/OpenBrokerSession': async (request) => {
    const { session, grants, ...rest } = await companion.openSession(readOpenSession(request))
    return v1.OpenBrokerSessionResponse.create({ session: sessionMessage(session), grants: [...grants], ...rest })
  },
  'Lifecycle/CloseBrokerSession': async ({ workspace, sessionId }) => {
    const asked = { workspace: readWorkspace(workspace), sessionId: readSessionId(sessionId) }
    const { session, changed, elapsedMs } = await companion.closeSession(asked)
    return v1.CloseBrokerSessionResponse.create({ session: sessionMessage(session), changed, elapsedMs })
  },
  'Lifecycle/ListBrokerSessions': async ({ workspace }) => {
    const sessions = await companion.sessions(workspace === '' ? '' : readWorkspace(workspace))
    return v1.ListBrokerSessionsResponse.create({ sessions: sessions.map(sessionMessage) })
  },
})

export interface LifecycleServer {
  close(): Promise<void>
}
export interface LifecycleEffects {
  /** `user:NAME`, of a number of the kernel. */
  readonly nameOf: (uid: number) => string
  /** Defects of ours. */
  readonly failed: (error: unknown) => void
}

const isStreamed = (name: LifecycleMethod): name is Streamed => LIFECYCLE_METHODS[name].streams

const MAX_REQUEST_BYTES = 64 << 10
/** Whoever may use the socket. */
const LOCAL: Role = 'operator'

/** Throws API_SOCKET. `handed`: a descriptor that listens there already. */
export async function serveLifecycle(
  path: string,
  companion: LifecyclePorts,
  effects: LifecycleEffects,
  handed?: number,
): Promise<LifecycleServer> {
  const handlers = handlersOf(companion)
  const servers = new Map<number, { readonly server: Server; readonly inject: (socket: Socket) => void }>()
  const open = new Set<Socket>()
  const ownUid = process.getuid?.() ?? 0
  const serverOf = (uid: number) => {
    const known = servers.get(uid)
    if (known) return known
    const server = new Server({ 'grpc.max_receive_message_length': MAX_REQUEST_BYTES })
    serve(server, handlers, effects.nameOf(uid), effects.failed)
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
    const made = { server, inject: (socket: Socket) => injector.injectConnection(socket) }
    servers.set(uid, made)
    return made
  }
  const listener = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => undefined) // `close` follows
    try {
      const { uid } = peerOf(socket)
      if (uid === 0 || uid === ownUid) serverOf(uid).inject(socket)
      else socket.destroy()
    } catch {
      // Whoever cannot be named is not served.
      socket.destroy()
    }
  })
  await claimSocket(listener, path, handed)
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()))
      for (const { server } of servers.values()) server.forceShutdown()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}

function serve(server: Server, handlers: Handlers, by: string, failed: (error: unknown) => void): void {
  const refuse = (error: unknown) => {
    const status = toStatus(error, true)
    if (status.metadata.get('sluice-code')[0] === 'INTERNAL') failed(error)
    return status
  }
  const admit = (name: LifecycleMethod): void => {
    if (!LIFECYCLE_ACCESS[name].includes(LOCAL)) throw apiFault('API_DENIED', { who: by, what: `call ${name}` })
  }
  const callOf = (name: LifecycleMethod): UntypedHandleCall =>
    isStreamed(name)
      ? (call: ServerWritableStream<unknown, unknown>) => {
          const tell = (message: unknown): void => {
            // An operation goes on when nobody looks on any more.
            if (!call.cancelled) call.write(message)
          }
          const run = async () => {
            admit(name)
            return handlers[name](call.request as never, by, tell)
          }
          run().then(
            (outcome) => {
              tell(outcome)
              call.end()
            },
            (error: unknown) => call.emit('error', refuse(error)),
          )
        }
      : (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) => {
          const run = async () => {
            admit(name)
            return handlers[name](call.request as never, by)
          }
          run().then(
            (response) => answer(null, response),
            (error: unknown) => answer(refuse(error)),
          )
        }
  server.addService(
    Object.fromEntries(LIFECYCLE_METHOD_NAMES.map((name) => [name, lifecycleDefinition(name)])),
    Object.fromEntries(LIFECYCLE_METHOD_NAMES.map((name) => [name, callOf(name)])),
  )
}
