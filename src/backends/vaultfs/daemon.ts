// The conversation with the daemon that serves volumes: a Unix socket in the state directory, one line a request. The daemon
// stands by itself and outlives whoever started it; when it is gone nothing is served, and who needs it starts it again.

import { execFile, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getSystemErrorName, promisify } from 'node:util'
import { vaultfsFault } from './errors.js'

const PROGRAM = 'sluice-vaultfs'
const SOCKET = 'vaultfs.sock'
const START_MS = 10_000

/** `build/native` beside the package root, or SLUICE_NATIVE_DIR. */
export const daemonPath = (): string =>
  process.env.SLUICE_NATIVE_DIR === undefined
    ? fileURLToPath(new URL(`../../../build/native/${PROGRAM}`, import.meta.url))
    : join(process.env.SLUICE_NATIVE_DIR, PROGRAM)

export class Daemon {
  constructor(readonly directory: string) {}

  /** What the daemon answers, as text; undefined when there is none. Throws VAULTFS_REFUSED, VAULTFS_DAEMON. */
  async ask(what: string, line: string, block?: Uint8Array): Promise<string | undefined> {
    return (await this.octets(what, line, block))?.toString('utf8')
  }

  /** As `ask`, the octets as they are. */
  async octets(what: string, line: string, block?: Uint8Array): Promise<Buffer | undefined> {
    const socket = await this.connect()
    if (!socket) return undefined
    try {
      socket.write(`${line}\n`)
      if (block) socket.write(block)
      return await answerOf(socket, what)
    } finally {
      socket.destroy()
    }
  }

  /** As `ask`, and starts the daemon when there is none. */
  async demand(what: string, line: string, block?: Uint8Array): Promise<string> {
    const first = await this.ask(what, line, block)
    if (first !== undefined) return first
    await this.start()
    const second = await this.ask(what, line, block)
    if (second === undefined) throw vaultfsFault('VAULTFS_DAEMON', { why: 'it was started and is gone' })
    return second
  }

  /** Resolves to a connection that ends when the daemon does; undefined when there is none. */
  connect(): Promise<Socket | undefined> {
    return new Promise((done, failed) => {
      const socket = connect(join(this.directory, SOCKET))
      socket.once('connect', () => {
        socket.removeAllListeners('error')
        socket.on('error', () => undefined) // `close` follows, and says enough
        done(socket)
      })
      socket.once('error', (error: NodeJS.ErrnoException) => {
        // ECONNRESET: it died with this connection in its queue.
        if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'ENOTDIR'].includes(error.code ?? '')) done(undefined)
        else failed(vaultfsFault('VAULTFS_DAEMON', { why: error.message }, { cause: error }))
      })
    })
  }

  /** Takes away the mounts that a daemon of this directory left when it was killed. */
  async clear(): Promise<void> {
    await promisify(execFile)(daemonPath(), ['--clear', this.directory])
  }

  private start(): Promise<void> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 })
    const log = openSync(join(this.directory, 'daemon.log'), 'a', 0o600)
    return new Promise<void>((done, failed) => {
      const child = spawn(daemonPath(), [this.directory], { detached: true, cwd: '/', stdio: ['ignore', 'pipe', log] })
      const fail = (why: string): void => {
        clearTimeout(timer)
        failed(vaultfsFault('VAULTFS_DAEMON', { why }))
      }
      const timer = setTimeout(() => fail(`it was not ready within ${START_MS} ms`), START_MS)
      child.once('error', (error) => fail(error.message))
      // Another process may have started one a moment earlier: that one holds the lock, and answers.
      child.once('exit', () => {
        clearTimeout(timer)
        done()
      })
      child.stdout?.once('data', () => {
        clearTimeout(timer)
        child.removeAllListeners()
        child.stdout?.destroy()
        child.unref()
        done()
      })
    }).finally(() => closeSync(log))
  }
}

/** `ok LENGTH` and the octets, or `error ERRNO WHY`; undefined when the daemon goes away meanwhile. */
function answerOf(socket: Socket, what: string): Promise<Buffer | undefined> {
  return new Promise((done, failed) => {
    let got = Buffer.alloc(0)
    socket.on('close', () => done(undefined))
    socket.on('data', (more: Buffer) => {
      got = Buffer.concat([got, more])
      const end = got.indexOf(0x0a)
      if (end < 0) return
      const head = got.toString('utf8', 0, end)
      const [kind, number = '0', ...why] = head.split(' ')
      if (kind !== 'ok')
        failed(
          vaultfsFault('VAULTFS_REFUSED', { what, errno: getSystemErrorName(-Number(number)), why: why.join(' ') }),
        )
      else if (got.length >= end + 1 + Number(number)) done(got.subarray(end + 1, end + 1 + Number(number)))
    })
  })
}
