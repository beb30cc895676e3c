// The agent's socket: calls and answers both ways with everything that JSON has no word for, who may connect, and what a
// peer that does not speak it gets.

import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { agentFault } from '../../../src/agent/errors.js'
import { type AgentConnection, connectAgent } from '../../../src/api/client.js'
import { type Calls, type SocketServer, serveSocket } from '../../../src/api/socket-server.js'
import { MAX_LINE_BYTES } from '../../../src/api/wire.js'
import { Fault } from '../../../src/base/fault.js'

const own = process.getuid?.() ?? 0
let directory: string
let path: string
let server: SocketServer | undefined
let agent: AgentConnection | undefined
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-socket-'))
  path = join(directory, 'agent.sock')
})
afterEach(async () => {
  agent?.close()
  await server?.close()
  server = undefined
  rmSync(directory, { recursive: true, force: true })
})
async function start(calls: Calls): Promise<AgentConnection> {
  server = await serveSocket(path, calls, own)
  agent = await connectAgent(path)
  if (!agent) throw new Error('nobody listens')
  return agent
}
function gate() {
  let open: () => void = () => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open: () => open() }
}
const raw = (send: string | Uint8Array): Promise<string> =>
  new Promise((resolve) => {
    let said = ''
    const socket = createConnection(path, () => socket.write(send))
    socket.on('data', (data) => {
      said += String(data)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(said))
  })

describe('calls', () => {
  it('carry octets, maps and numbers of any size, both ways', async () => {
    const given = {
      octets: Uint8Array.of(0, 255, 10),
      members: new Map([['a/b.yaml', Uint8Array.of(1)]]),
      revision: 18446744073709551615n,
      nothing: null,
      text: 'line\nfeed \u2028 \ud83d\ude00',
    }
    const connection = await start({ echo: (value) => Promise.resolve(value) })
    expect(await connection.call('echo', given)).toEqual(given)
    expect(await connection.call('echo', Buffer.from('x'))).toEqual(Uint8Array.of(120))
  })

  it('know who asks, as the kernel says it', async () => {
    const connection = await start({ who: (_given, { peer }) => Promise.resolve(peer) })
    expect(await connection.call('who', null)).toEqual({ pid: process.pid, uid: own, gid: process.getgid?.() ?? 0 })
  })

  it('give the same fault as in one process: code, reaction, sentence, remedy, detail, notes, causes', async () => {
    const cause = new TypeError('the disk is full')
    const note = { code: 'n', severity: 'error', file: 'f', line: 1, column: 2, path: 'p', say: 's' } as const
    const fault = agentFault('AGENT_STORE_WRITE', { file: 'state.json' }, { cause, notes: [note] })
    const connection = await start({ fail: () => Promise.reject(fault) })
    const got = await connection.call('fail', null).catch((error: unknown) => error)
    expect(got).toBeInstanceOf(Fault)
    expect(got).toMatchObject({
      code: 'AGENT_STORE_WRITE',
      reaction: 'retry',
      message: 'cannot write state.json',
      remedy: fault.remedy,
      detail: { file: 'state.json' },
      notes: [note],
      cause: { message: 'the disk is full' },
    })
  })

  it('give a defect of ours as one', async () => {
    const warned = new Promise((resolve) => process.once('warning', resolve))
    const connection = await start({ fail: () => Promise.reject(new TypeError('x is not a function')) })
    const got = await connection.call('fail', null).catch((error: unknown) => error)
    expect(got).not.toBeInstanceOf(Fault)
    expect(got).toMatchObject({ message: 'x is not a function' })
    expect(await warned).toMatchObject({ message: 'x is not a function' })
  })

  it('tell before they answer, and are stopped by whoever asked', async () => {
    const told: unknown[] = []
    const stopping = new AbortController()
    const connection = await start({
      watch: (_given, { signal, tell }) =>
        new Promise((resolve) => {
          tell([1])
          signal.addEventListener('abort', () => resolve('stopped'))
        }),
    })
    const answer = connection.call('watch', null, {
      signal: stopping.signal,
      tell: (facts) => {
        told.push(facts)
        stopping.abort()
      },
    })
    expect(await answer).toBe('stopped')
    expect(told).toEqual([[1]])
  })

  it('overlap on one connection', async () => {
    const waiting: (() => void)[] = []
    const connection = await start({
      wait: (given) => new Promise((resolve) => waiting.push(() => resolve(given))),
      now: (given) => Promise.resolve(given),
    })
    const slow = connection.call('wait', 1)
    expect(await connection.call('now', 2)).toBe(2)
    waiting[0]?.()
    expect(await slow).toBe(1)
  })

  it('that wait when the agent goes away are API_LOST, and end at the agent when the caller goes away', async () => {
    const begun = gate()
    const ended = gate()
    const connection = await start({
      wait: (_given, { signal }) => {
        signal.addEventListener('abort', () => ended.open())
        begun.open()
        return ended.passed
      },
    })
    const answer = connection.call('wait', null).catch((error: unknown) => error)
    await begun.passed
    await server?.close()
    expect(await answer).toMatchObject({
      code: 'API_LOST',
      message: `the agent at ${path} went away before it answered`,
    })
    await ended.passed
    await expect(connection.call('wait', null)).rejects.toMatchObject({ code: 'API_LOST' })
  })
})

describe('the socket', () => {
  it('is for its owner alone, and gone after the end', async () => {
    await start({})
    expect(statSync(path).mode & 0o777).toBe(0o600)
    agent?.close()
    await server?.close()
    expect(await connectAgent(path)).toBeUndefined()
  })

  it('replaces what an agent that was killed left, and not one that answers', async () => {
    writeFileSync(path, '')
    await start({ ping: () => Promise.resolve('pong') })
    await expect(serveSocket(path, {}, own)).rejects.toMatchObject({ code: 'API_SOCKET' })
    expect(await agent?.call('ping', null)).toBe('pong')
  })

  it('refuses a path that no socket can have', async () => {
    await expect(serveSocket(join(directory, 'x'.repeat(108)), {}, own)).rejects.toMatchObject({ code: 'API_SOCKET' })
  })

  // Only root can be somebody else.
  it.runIf(own === 0)('refuses other users, even where the rights on the file would let them in', async () => {
    await start({})
    chmodSync(directory, 0o755)
    chmodSync(path, 0o666)
    const ask = `require('node:net').createConnection(${JSON.stringify(path)}).pipe(process.stdout)`
    const child = spawn(process.execPath, ['-e', ask], { uid: 65_534, gid: 65_534, cwd: '/' })
    let said = ''
    child.stdout.on('data', (data) => {
      said += String(data)
    })
    child.stderr.on('data', (data) => {
      said += String(data)
    })
    await new Promise((resolve) => child.once('close', resolve))
    expect(JSON.parse(said)).toMatchObject({
      id: 0,
      fault: { code: 'API_DENIED', message: 'user 65534 may not use this socket' },
    })
  })
})

describe('a peer that does not speak it', () => {
  it.each([
    ['what is not JSON', 'GET / HTTP/1.1\r\n', 'a line is not JSON'],
    ['no object', '7\n', 'a call has no number'],
    ['a number that is none', '{"id":1.5,"call":"x"}\n', 'a call has no number'],
    ['no name', '{"id":1,"call":["x"]}\n', 'a call has no name'],
    ['what is not UTF-8', Uint8Array.of(0xff, 0x0a), 'a line is not UTF-8'],
  ])('%s is closed', async (_name, send, why) => {
    await start({})
    expect(JSON.parse(await raw(send))).toMatchObject({
      id: 0,
      fault: { code: 'API_WIRE', message: `this is not a message of the socket: ${why}` },
    })
  })

  it('a call of another name is refused, also one that every object has', async () => {
    const connection = await start({})
    for (const name of ['nothing', 'constructor', '__proto__', 'toString'])
      await expect(connection.call(name, null)).rejects.toMatchObject({ code: 'API_WIRE' })
  })

  it('a line without an end is cut off', async () => {
    await start({})
    const said = await raw(Buffer.alloc(MAX_LINE_BYTES + 1, 0x20))
    expect(said).toContain(`a line has more than ${MAX_LINE_BYTES} octets`)
  })
})
