// The companion's gRPC over its Unix socket: every operation and its steps, who may connect, requests that are none, and refusals that
// arrive as the faults that they were.

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, credentials, Server, ServerCredentials, type sendUnaryData } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LifecycleClient } from '../../../src/api/lifecycle-client.js'
import { lifecycleDefinition } from '../../../src/api/lifecycle-methods.js'
import type { LifecyclePorts, ProfileView } from '../../../src/api/lifecycle-ports.js'
import { type LifecycleServer, serveLifecycle } from '../../../src/api/lifecycle-server.js'
import { v1 } from '../../../src/api/messages.js'
import { Fault } from '../../../src/base/fault.js'
import { lifecycleFault } from '../../../src/companion/lifecycle/errors.js'

const WS = 'spiffe://fleet.example/ws/one'
const PROFILE: ProfileView = {
  ...{
    workspace: WS,
    user: 'jane',
    session: 's-1',
    device: 'd-1',
    image: 'base',
    cpus: 2,
    memoryMiB: 512,
    network: 'ws0',
  },
  ...{ channel: 'stable', policy: 'baseline', volumes: ['data'] },
}
const STEP = { step: 'fence', atMs: 1_700_000_000_000, elapsedMs: 1.5, outcome: 'failed', why: 'gone', receipt: 'e30' }

const HEARD = {
  ...{ name: 'idp', kind: 'poll', standing: 'silent', heardAtMs: 2 ** 40, taken: 2 ** 33, refused: 1 },
  error: 'refused',
}
const UNHEARD = { name: 'idp', kind: 'push', standing: 'unheard', heardAtMs: 0, taken: 0, refused: 0 }
const ENDED = { reason: 'quarantined', atMs: 9 }
const SESSION = {
  ...{ workspace: WS, sessionId: 'bk-7', user: 'jane', peer: '10.60.0.1', by: 'spiffe://fleet.example/companion/h1' },
  ...{ openedAtMs: 2 ** 40, expiresAtMs: 2 ** 40 + 1 },
}

let directory: string
let path: string
let server: LifecycleServer
let client: LifecycleClient
let asked: unknown[]
let refuse: Error | undefined
let empty: boolean
let holds: boolean
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-companion-'))
  path = join(directory, 'companion.sock')
  asked = []
  refuse = undefined
  empty = false
  holds = false
  const ports: LifecyclePorts = {
    change: (given, told) => {
      asked.push(given)
      told({ step: 'prepare', atMs: 5, elapsedMs: 2, outcome: 'done' })
      if (refuse) return Promise.reject(refuse)
      return Promise.resolve({ state: 'running', steps: [STEP], owed: ['fence'], elapsedMs: 12.25 })
    },
    kill: (given, told) => {
      asked.push(given)
      told(WS, STEP)
      if (holds) return new Promise(() => undefined)
      return Promise.resolve({ report: new TextEncoder().encode('{"partial":false}'), receipt: 'a.b.c\n' })
    },
    list: () =>
      Promise.resolve({
        workspaces: [
          empty
            ? {
                ...{ profile: PROFILE, state: 'stopped', machine: '', incarnation: 0, image: '', lease: 0 },
                ...{ owed: [], doing: '' },
              }
            : {
                ...{ profile: PROFILE, state: 'running', machine: 'running', incarnation: 3, image: 'base@7' },
                ...{ lease: 2 ** 40, owed: ['detach'], doing: 'stop' },
              },
        ],
        streams: empty ? [UNHEARD] : [HEARD],
      }),
    console: (workspace, maxBytes) => Promise.resolve(new TextEncoder().encode(`${workspace} ${maxBytes}`)),
    openSession: (given) => {
      asked.push(given)
      return Promise.resolve({ session: SESSION, grants: ['a', 'b'], changed: true, elapsedMs: 1.5 })
    },
    closeSession: (given) => {
      asked.push(given)
      return Promise.resolve({ session: { ...SESSION, ended: ENDED }, grants: [], changed: false, elapsedMs: 0 })
    },
    sessions: (workspace) => Promise.resolve([{ ...SESSION, workspace: workspace || WS }]),
  }
  server = await serveLifecycle(path, ports, { nameOf: (uid) => `user:${uid}`, failed: () => undefined })
  client = new LifecycleClient(path)
})
afterEach(async () => {
  client.close()
  await server.close()
  rmSync(directory, { recursive: true, force: true })
})

const by = `user:${process.getuid?.() ?? 0}`
const change = (more: object) =>
  client.change(
    { requestId: 'request-1', operation: 'start', workspace: WS, reason: 'work', ...more } as never,
    () => undefined,
  )
const faultOf = async (done: Promise<unknown>): Promise<Fault> => {
  const error: unknown = await done.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Fault)) throw new Error(`no fault: ${String(error)}`)
  return error
}

it('carries an operation, its steps and its outcome, in the name of whoever connected', async () => {
  const steps: unknown[] = []
  const request = {
    requestId: 'request-1',
    operation: 'create',
    workspace: WS,
    reason: 'work',
    profile: PROFILE,
  } as const
  const outcome = await client.change(request, (step) => steps.push(step))
  expect(asked).toEqual([{ ...request, by }])
  expect(steps).toEqual([{ step: 'prepare', atMs: 5, elapsedMs: 2, outcome: 'done' }])
  expect(outcome).toEqual({ state: 'running', steps: [STEP], owed: ['fence'], elapsedMs: 12.25 })
})

it('carries every target of a kill, its report and its receipt', async () => {
  const targets = [
    { kind: 'workspace', workspace: WS },
    { kind: 'user', user: 'jane' },
    { kind: 'image', image: 'base@7' },
    { kind: 'everything' },
  ] as const
  for (const target of targets) {
    const request = { requestId: 'request-2', reason: 'incident 4711', target }
    const { report, receipt } = await client.kill(request)
    expect(asked.pop()).toEqual({ ...request, by })
    expect([Buffer.from(report).toString(), receipt]).toEqual(['{"partial":false}', 'a.b.c\n'])
  }
})

describe('a kill', () => {
  const KILL = { requestId: 'request-3', reason: 'incident', target: { kind: 'everything' } } as const
  const ONE = { requestId: 'request-3', reason: 'incident', everything: true }

  it('tells its steps to whoever looks on, and is answered behind them', async () => {
    const steps: unknown[] = []
    const { receipt } = await client.kill(KILL, (workspace, step) => steps.push([workspace, step]))
    expect([steps, receipt]).toEqual([[[WS, STEP]], 'a.b.c\n'])
  })

  it('is one answer to a client that knows it as a call with one', async () => {
    const { path: method, requestSerialize, responseDeserialize } = lifecycleDefinition('Lifecycle/KillWorkspaces')
    const older = new Client(`unix:${path}`, credentials.createInsecure())
    const request = v1.KillWorkspacesRequest.create(ONE)
    const receipt = await new Promise((resolve, reject) => {
      older.makeUnaryRequest(method, requestSerialize, responseDeserialize, request, (error, answer) => {
        if (error) reject(error)
        else resolve(answer?.receipt)
      })
    })
    older.close()
    expect(receipt).toBe('a.b.c\n')
  })

  it('is carried out by a companion that tells no steps', async () => {
    const older = new Server()
    const method = { ...lifecycleDefinition('Lifecycle/KillWorkspaces'), responseStream: false as const }
    older.addService(
      { kill: method },
      {
        kill: (_call: unknown, answer: sendUnaryData<unknown>) => {
          answer(null, v1.KillWorkspacesResponse.create({ report: new Uint8Array([123, 125]), receipt: 'old' }))
        },
      },
    )
    const at = join(directory, 'older.sock')
    await new Promise<void>((resolve, reject) => {
      older.bindAsync(`unix:${at}`, ServerCredentials.createInsecure(), (error) => {
        if (error) reject(error)
        else resolve()
      })
    })
    const to = new LifecycleClient(at)
    try {
      expect((await to.kill(KILL, () => undefined)).receipt).toBe('old')
    } finally {
      to.close()
      older.forceShutdown()
    }
  })

  it('that breaks off is not taken for done: the same request asks again', async () => {
    holds = true
    let closing: Promise<void> | undefined
    const killing = client.kill(KILL, () => {
      closing = server.close()
    })
    expect(await faultOf(killing)).toMatchObject({ code: 'API_LOST', reaction: 'retry' })
    await closing
  })
})

it('carries what there is, with numbers of any size, and a console', async () => {
  const [listed] = await client.list()
  expect(listed).toMatchObject({
    profile: PROFILE,
    state: 'running',
    machine: 'running',
    lease: 2 ** 40,
    doing: 'stop',
  })
  expect((await client.overview()).streams).toEqual([HEARD])
  expect(Buffer.from(await client.console(WS, 64)).toString()).toBe(`${WS} 64`)
})

it('carries what is empty as what is empty', async () => {
  empty = true
  expect(await client.list()).toEqual([
    { profile: PROFILE, state: 'stopped', machine: '', incarnation: 0, image: '', lease: 0, owed: [], doing: '' },
  ])
  expect((await client.overview()).streams).toEqual([UNHEARD])
})

it('gives a refusal as the fault that it was, with its causes', async () => {
  refuse = lifecycleFault('WORKSPACE_BUSY', { workspace: WS, operation: 'stop' }, { cause: new Error('inner: "x"') })
  const fault = await faultOf(change({}))
  expect(fault).toMatchObject({ code: 'WORKSPACE_BUSY', reaction: 'retry', message: `stop of ${WS} is under way` })
  expect(fault.remedy).toBe('Run the command again when it is over. A kill or a revoke does not wait.')
  expect((fault.cause as Error).message).toBe('inner: "x"')
})

it.each([
  [{ requestId: 'short' }, 'request_id must be 8 to 128 letters, digits and . _ : -'],
  [{ workspace: 'one' }, 'workspace must be a SPIFFE URI of a workspace'],
  [{ reason: 'two\nlines' }, 'reason must be 1 to 1024 characters on one line'],
  [{ operation: 'create' }, 'profile must be there for a create, and only for that'],
  [{ profile: PROFILE }, 'profile must be there for a create, and only for that'],
  [{ operation: 'launch' }, 'operation must be an operation on one workspace'],
])('refuses %j', async (more, say) => {
  expect(await faultOf(change(more))).toMatchObject({ code: 'API_FIELD', reaction: 'reject', message: say })
  expect(asked).toEqual([])
})

it('is for its owner alone, outlives a peer that speaks nonsense, and is gone when it is closed', async () => {
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const nonsense = createConnection(path)
  nonsense.on('error', () => undefined)
  nonsense.write('GET / HTTP/1.1\r\n\r\n')
  expect(await client.list()).toHaveLength(1)
  await server.close()
  expect(await faultOf(client.list())).toMatchObject({ code: 'API_LOST', reaction: 'retry' })
  nonsense.destroy()
})

describe('sessions of the access broker', () => {
  const OPEN = { workspace: WS, sessionId: 'bk-7', user: 'jane', peer: '10.60.0.1', lifetimeMs: 60_000 }

  it('are handed on, and come back as they are', async () => {
    expect(await client.openSession(OPEN)).toEqual({
      session: SESSION,
      grants: ['a', 'b'],
      changed: true,
      elapsedMs: 1.5,
    })
    expect(await client.closeSession({ workspace: WS, sessionId: 'bk-7' })).toEqual({
      ...{ session: { ...SESSION, ended: ENDED }, grants: [], changed: false, elapsedMs: 0 },
    })
    expect(await client.sessions('')).toEqual([SESSION])
    expect(asked).toEqual([OPEN, { workspace: WS, sessionId: 'bk-7' }])
  })

  it.each([
    ['session_id', { sessionId: '' }],
    ['session_id', { sessionId: 'a b' }],
    ['user', { user: ' ' }],
    ['user', { user: 'a\u0007' }],
    ['peer', { peer: '10.60.0.0/24' }],
    ['lifetime_ms', { lifetimeMs: 999 }],
    ['lifetime_ms', { lifetimeMs: 86_400_001 }],
    ['workspace', { workspace: 'alpha' }],
  ])('are refused for their %s: %o', async (field, change) => {
    await expect(client.openSession({ ...OPEN, ...change })).rejects.toMatchObject({
      code: 'API_FIELD',
      message: expect.stringContaining(field) as string,
    })
    expect(asked).toEqual([])
  })
})
