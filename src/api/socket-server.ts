// The agent's Unix socket: takes connections from root and from the agent's own user, as the kernel says who they are, and
// serves their calls from a closed table. Nobody else is answered. A connection may have several calls under way; one that
// sends what is not a message is closed.

import { chmodSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { Fault } from '../base/fault.js'
import { apiFault } from './errors.js'
import { LineReader } from './lines.js'
import { type Peer, peerOf } from './peer.js'
import { decodeLine, encodeLine, faultToWire, type Reply, type Request, readRequest } from './wire.js'

export interface CallContext {
  readonly peer: Peer
  /** Aborted when the peer stops the call or goes away. */
  readonly signal: AbortSignal
  /** Something before the answer. */
  readonly tell: (told: unknown) => void
}
export type Calls = Readonly<Record<string, (given: unknown, context: CallContext) => Promise<unknown>>>

export interface SocketServer {
  /** Ends every call and removes the socket. */
  close(): Promise<void>
}

/** sockaddr_un has room for 107 octets and a zero (unix(7)). */
const MAX_PATH_BYTES = 107
const CALLS_UNDER_WAY = 64

/**
 * Serves `calls` at `path`, mode 0600. The caller holds the node's lock, so a socket that lies there is left over from an
 * agent that was killed, unless somebody answers. `handed` is a descriptor that listens there already (handed-socket.ts): its
 * mode and its end are then the affair of who made it. Throws API_SOCKET.
 */
export async function serveSocket(path: string, calls: Calls, ownUid: number, handed?: number): Promise<SocketServer> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    serve(socket, calls, ownUid)
  })
  await claimSocket(server, path, handed)
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of open) socket.destroy()
      await closed
      if (handed === undefined) rmSync(path, { force: true })
    },
  }
}

/** Listens at `path`, for its owner alone, or at the descriptor that was handed over. Throws API_SOCKET. */
export async function claimSocket(server: Server, path: string, handed?: number): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw apiFault('API_SOCKET', { path, why: `a path has at most ${MAX_PATH_BYTES} octets` })
  // Whoever hands a socket over listens on it, and would answer.
  if (handed === undefined && (await answers(path)))
    throw apiFault('API_SOCKET', { path, why: 'another process serves it' })
  try {
    if (handed === undefined) rmSync(path, { force: true })
    await (handed === undefined ? bind(server, path) : listen(server, { fd: handed }))
  } catch (cause) {
    throw apiFault('API_SOCKET', { path, why: 'it cannot be made' }, { cause })
  }
}

/** Between bind and chmod the umask decides; it is narrowed for that moment, in which nothing else of ours makes files. */
async function bind(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177)
  try {
    await listen(server, { path })
  } finally {
    process.umask(before)
  }
  chmodSync(path, 0o600)
}

const listen = (server: Server, at: { readonly path: string } | { readonly fd: number }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(at, () => {
      server.off('error', reject)
      resolve()
    })
  })

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createConnection(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // Nobody listens, or nothing is there.
    probe.once('error', () => {
      resolve(false)
    })
  })

function serve(socket: Socket, calls: Calls, ownUid: number): void {
  // A peer that goes away is told by `close`, which follows.
  socket.on('error', () => undefined)
  let peer: Peer
  try {
    peer = peerOf(socket)
  } catch {
    // Whoever cannot be named is not served.
    socket.destroy()
    return
  }
  if (peer.uid !== 0 && peer.uid !== ownUid) {
    const who = `user ${peer.uid}`
    socket.end(encodeLine({ id: 0, fault: faultToWire(apiFault('API_DENIED', { who, what: 'use this socket' })) }))
    return
  }
  const running = new Map<number, AbortController>()
  const reply = (message: Reply): void => {
    if (socket.writable) socket.write(encodeLine(message))
  }
  const lines = new LineReader((line) => {
    const request = readRequest(decodeLine(line))
    if ('stop' in request) running.get(request.id)?.abort()
    else void answer(request, calls, peer, running, reply)
  })
  socket.on('data', (chunk: Buffer) => {
    try {
      lines.push(chunk)
    } catch (error) {
      socket.end(encodeLine({ id: 0, fault: faultToWire(error) }))
      socket.removeAllListeners('data')
    }
  })
  socket.on('close', () => {
    for (const call of running.values()) call.abort()
  })
}

async function answer(
  request: Extract<Request, { call: string }>,
  calls: Calls,
  peer: Peer,
  running: Map<number, AbortController>,
  reply: (message: Reply) => void,
): Promise<void> {
  const { id } = request
  const ending = new AbortController()
  try {
    const call = Object.hasOwn(calls, request.call) ? calls[request.call] : undefined
    if (!call) throw apiFault('API_WIRE', { why: 'there is no call of that name' })
    if (running.has(id)) throw apiFault('API_WIRE', { why: 'a number of a call is used twice' })
    if (running.size >= CALLS_UNDER_WAY) throw apiFault('API_WIRE', { why: 'too many calls are under way' })
    running.set(id, ending)
    const context = { peer, signal: ending.signal, tell: (tells: unknown) => reply({ id, tells }) }
    const gives = await call(request.given, context)
    reply({ id, gives: gives ?? null })
  } catch (error) {
    reply({ id, fault: faultToWire(error) })
    if (!(error instanceof Fault)) process.emitWarning(error instanceof Error ? error : String(error))
  } finally {
    if (running.get(id) === ending) running.delete(id)
  }
}
