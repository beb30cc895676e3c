// `sluice workspace` over a companion that answers as it is told: what is asked for in each verb's words, what people and programs are
// shown, and the exit code of what was done in part.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Host } from '../../../src/cli/host.js'
import type {
  CompanionHandle,
  StreamListed,
  WorkspaceListed,
  WorkspaceOutcome,
  WorkspaceProfile,
  WorkspacesKilled,
} from '../../../src/cli/host-companion.js'
import { repositoryPath } from '../../support/lab/repository.js'
import { Operator, type Said } from '../../support/operator.js'

const WS = 'spiffe://fleet.example/ws/one'
const STEP = { step: 'run', atMs: 1, elapsedMs: 2.25, outcome: 'done' }
const LATE = { step: 'fence', atMs: 1, elapsedMs: 5_000, outcome: 'late', why: 'fence was not done within 5000 ms' }
const DONE: WorkspaceOutcome = { state: 'running', steps: [{ ...STEP, what: 'att-1' }], owed: [], elapsedMs: 3 }
const KILLED: WorkspacesKilled = {
  ...{ askedAtMs: 5, elapsedMs: 7, partial: false },
  workspaces: [
    {
      ...{ workspace: WS, user: 'jane', state: 'killed', fencedAtMs: 6, owed: [] },
      steps: [
        { step: 'fence', atMs: 5, elapsedMs: 1.5, outcome: 'done' },
        { step: 'end', atMs: 6, elapsedMs: 0.5, outcome: 'done' },
      ],
    },
  ],
}
const PROFILE: WorkspaceProfile = {
  ...{ workspace: WS, user: 'jane', session: '', image: 'base', cpus: 2, memoryMiB: 512, network: 'ws0' },
  ...{ channel: 'stable', policy: 'baseline', volumes: ['home', 'tools'] },
}
const LISTED: WorkspaceListed = {
  ...{ profile: PROFILE, state: 'killed', machine: '', incarnation: 2, image: 'base@7', lease: 3 },
  ...{ owed: ['sessions'], doing: '' },
}

const SESSION = {
  ...{ workspace: WS, sessionId: 'bk-7', user: 'jane', peer: '10.60.0.1', by: 'spiffe://fleet.example/companion/h1' },
  ...{ openedAtMs: Date.UTC(2026, 5, 1), expiresAtMs: Date.UTC(2026, 5, 1, 1) },
}
let operator: Operator
let asked: unknown[]
let answers: {
  change: WorkspaceOutcome
  kill: WorkspacesKilled
  receipt: string | undefined
  list: readonly WorkspaceListed[]
  streams: readonly StreamListed[]
  console: string
}
beforeEach(() => {
  operator = new Operator()
  asked = []
  answers = {
    ...{ change: DONE, kill: KILLED, receipt: 'a.b.c\n', list: [LISTED], streams: [] },
    console: 'login: \u001b[2Jroot\r\n$ \n',
  }
  writeFileSync(join(operator.directory, 'companion.yaml'), 'x')
})
afterEach(() => {
  operator.close()
})

const sluice = (line: string, colour = false): Promise<Said> =>
  operator.sluice(line, (host): Host => {
    const companion: CompanionHandle = {
      change: (request, told) => {
        asked.push(request)
        told(STEP)
        return Promise.resolve(answers.change)
      },
      kill: (request, told) => {
        asked.push(request)
        told(WS, LATE)
        const { kill: report, receipt } = answers
        return Promise.resolve({ report, ...(receipt === undefined ? {} : { receipt }) })
      },
      list: () => Promise.resolve({ workspaces: answers.list, streams: answers.streams }),
      console: (workspace, maxBytes) => {
        asked.push({ workspace, maxBytes })
        return Promise.resolve(new TextEncoder().encode(answers.console))
      },
      openSession: (request) => {
        asked.push(request)
        return Promise.resolve({
          session: SESSION,
          grants: ['ingress/tcp/10.60.0.0/24/22'],
          changed: true,
          elapsedMs: 2,
        })
      },
      closeSession: (request) => {
        asked.push(request)
        const session = { ...SESSION, ended: { reason: 'closed', atMs: SESSION.openedAtMs + 1_000 } }
        return Promise.resolve({ session, grants: [], changed: false, elapsedMs: 2 })
      },
      sessions: (workspace) => {
        asked.push(workspace)
        return Promise.resolve([SESSION])
      },
      close: () => undefined,
    }
    const configure = (file: string) => ({
      file,
      companion: 'spiffe://fleet.example/companion/h1',
      socket: '/run/x.sock',
    })
    return {
      ...host,
      colour,
      companion: {
        configure,
        open: () => companion,
        run: () => Promise.resolve(),
        fetchImages: () => Promise.reject(new Error('nobody asked')),
        reconcile: () => Promise.resolve({ agents: [] }),
      },
    }
  })

describe('an operation', () => {
  it('is asked for in its own words', async () => {
    const line = `workspace create ${WS} --user jane --image base --network ws0 --cpus 2 --baseline --volume home,tools --request-id request-1`
    expect(await sluice(line)).toEqual({
      exit: 0,
      out: `workspace  ${WS}\nstate      running\nrun        2.3 ms  att-1\n`,
      error: '',
    })
    expect(asked).toEqual([
      {
        requestId: 'request-1',
        operation: 'create',
        workspace: WS,
        reason: 'create by user:operator',
        profile: PROFILE,
      },
    ])
  })

  it('says how an identity provider calls the session and the device', async () => {
    await sluice(`workspace create ${WS} --user jane --image base --network ws0 --session s-1 --device d-1`)
    expect(asked).toMatchObject([{ profile: { session: 's-1', device: 'd-1' } }])
  })

  it.each(['start', 'stop', 'rebake', 'revoke', 'delete'])(
    '%s names itself, and gets a request id of its own',
    async (verb) => {
      await sluice(`workspace ${verb} ${WS} --reason 'left the team'`)
      expect(asked).toEqual([
        {
          requestId: expect.stringMatching(/^cli-[0-9a-f]{24}$/),
          operation: verb,
          workspace: WS,
          reason: 'left the team',
        },
      ])
    },
  )

  it('tells its steps on a terminal, and not in a pipe', async () => {
    expect((await sluice(`workspace start ${WS}`, true)).error).toContain('run done (2.3 ms)')
    expect((await sluice(`workspace start ${WS}`)).error).toBe('')
  })

  it('that was done in part says so and exits with 75', async () => {
    answers.change = { ...DONE, state: 'stopped', steps: [LATE], owed: ['fence'] }
    const said = await sluice(`workspace stop ${WS}`)
    expect(said.exit).toBe(75)
    expect(said.out).toContain('fence      late  5000.0 ms  fence was not done within 5000 ms\nnot done   fence\n')
    expect(said.error).toBe('warning: not everything was done; the companion goes on trying\n')
  })

  it('a revoke needs a reason', async () => {
    expect(await sluice(`workspace revoke ${WS}`)).toMatchObject({ exit: 64 })
    expect(asked).toEqual([])
  })
})

describe('a kill', () => {
  it.each([
    [WS, { kind: 'workspace', workspace: WS }],
    ['--user jane', { kind: 'user', user: 'jane' }],
    ['--image base@7', { kind: 'image', image: 'base@7' }],
    ['--everything', { kind: 'everything' }],
  ])('of %s', async (words, target) => {
    const said = await sluice(`workspace kill ${words} --reason incident --request-id request-2 --receipt kill.jws`)
    expect(asked).toEqual([{ requestId: 'request-2', reason: 'incident', target }])
    expect(said.exit).toBe(0)
    expect(said.out).toBe(
      `workspace                      user  state   fence   machine  sessions  not done\n${WS}  jane  killed  1.5 ms  0.5 ms   -\n`,
    )
    expect(operator.shell('cat kill.jws').out).toBe('a.b.c\n')
  })

  it('in part says what was not done and exits with 75', async () => {
    const [one] = KILLED.workspaces
    if (!one) throw new Error('no workspace')
    answers.kill = { ...KILLED, partial: true, workspaces: [{ ...one, steps: [LATE], owed: ['fence'] }] }
    const said = await sluice(`workspace kill ${WS} --reason incident`)
    expect(said.exit).toBe(75)
    expect(said.error).toBe(
      `partial: fence of ${WS} (fence was not done within 5000 ms); the companion goes on trying\n`,
    )
  })

  it.each(['', `${WS} --everything`, '--user jane --image base'])(
    'of "%s" names not exactly one thing',
    async (words) => {
      const said = await sluice(`workspace kill ${words} --reason incident`)
      expect([said.exit, said.error.split('\n')[0]]).toEqual([
        2,
        'CLI_KILL_TARGET: a kill names one thing: a workspace, --user, --image or --everything',
      ])
      expect(asked).toEqual([])
    },
  )

  it('tells its steps on a terminal, and not in a pipe', async () => {
    const line = `workspace kill ${WS} --reason incident`
    expect((await sluice(line)).error).toBe('')
    expect((await sluice(line, true)).error).toContain(`${WS} fence late (5000.0 ms): ${LATE.why}`)
  })

  it('says where nobody was told of the end of sessions', async () => {
    const [one] = KILLED.workspaces
    if (!one) throw new Error('one is killed')
    const nobody = {
      step: 'sessions',
      atMs: 7,
      elapsedMs: 0.1,
      outcome: 'done',
      what: 'no access broker is configured',
    }
    answers.kill = { ...KILLED, workspaces: [{ ...one, steps: [...one.steps, nobody] }] }
    const { exit, out, error } = await sluice(`workspace kill ${WS} --reason incident`)
    expect([exit, error]).toEqual([0, 'note: sessions: no access broker is configured\n'])
    expect(out).toContain('nobody told')
  })

  it('whose receipt could not be made says so where one was asked for', async () => {
    answers.receipt = undefined
    expect(await sluice(`workspace kill ${WS} --reason incident --receipt kill.jws`)).toMatchObject({ exit: 75 })
  })
})

it('lists what there is and what really runs', async () => {
  expect((await sluice('workspace list')).out).toBe(
    `workspace                      user  state   machine  image   lease  under way  not done\n${WS}  jane  killed  -        base@7  3      -          sessions\n`,
  )
  answers.list = []
  expect((await sluice('workspace list')).out).toBe('there is no workspace on this host\n')
})

it('lists how the streams of security events stand, with what transmitters say made harmless', async () => {
  const heard = { name: 'idp', kind: 'poll', standing: 'silent', heardAtMs: Date.UTC(2026, 5, 1), taken: 4, refused: 1 }
  answers.streams = [
    { ...heard, error: 'it answered \u001b[2J' },
    { ...heard, name: 'mdm', standing: 'unheard', heardAtMs: 0 },
  ]
  const { out } = await sluice('workspace list')
  expect(out.split('\n').slice(3)).toEqual([
    'stream  kind  standing  heard                 taken  refused  error',
    'idp     poll  silent    2026-06-01T00:00:00Z  4      1        "it answered \\u{1b}[2J"',
    'mdm     poll  unheard   -                     4      1        -',
    '',
  ])
  expect(JSON.parse((await sluice('workspace list --json')).out)).toMatchObject({ streams: answers.streams })
})

it('shows a console without what would steer a terminal', async () => {
  const { out } = await sluice(`workspace console ${WS} --bytes 128`)
  expect(asked).toEqual([{ workspace: WS, maxBytes: 128 }])
  expect(out).not.toContain('\u001b')
  expect(out).toContain('[2Jroot')
  expect(out).toContain('\n$')
})

it('says where no companion answers, and how to fence without one', async () => {
  const example = readFileSync(repositoryPath('deploy/companion.yaml'), 'utf8')
  const text = example.replace('/run/sluice/companion.sock', join(operator.directory, 'none.sock'))
  writeFileSync(join(operator.directory, 'companion.yaml'), text)
  const said = await operator.sluice(`workspace kill ${WS} --reason incident`)
  expect([said.exit, said.error]).toEqual([
    75,
    `COMPANION_GONE: no companion answers at ${join(operator.directory, 'none.sock')}\nwhat to do: Start it with \`sluice companion\`. To fence without it, run \`sluice quarantine set\` at the agent.\n`,
  ])
})

describe('a session of the access broker', () => {
  it('is opened for one peer and a time', async () => {
    expect(await sluice(`workspace session open ${WS} --id bk-7 --user jane --peer 10.60.0.1 --minutes 30`)).toEqual({
      exit: 0,
      out: [
        `workspace        ${WS}`,
        'session          bk-7 of jane from 10.60.0.1',
        'fence read back  2.0 ms',
        'open until       2026-06-01T01:00:00Z',
        'opens            ingress/tcp/10.60.0.0/24/22',
        '',
      ].join('\n'),
      error: '',
    })
    expect(asked).toEqual([
      { workspace: WS, sessionId: 'bk-7', user: 'jane', peer: '10.60.0.1', lifetimeMs: 1_800_000 },
    ])
  })

  it('is closed by its id, and listed', async () => {
    expect((await sluice(`workspace session close ${WS} --id bk-7`)).out).toContain(
      'ended            closed\nchanged          no: it was over already\n',
    )
    expect((await sluice('workspace session list')).out).toMatch(
      /bk-7 +jane +10\.60\.0\.1 .* 2026-06-01T01:00:00Z +open/,
    )
    expect(asked).toEqual([{ workspace: WS, sessionId: 'bk-7' }, ''])
  })

  it('is refused where words are missing', async () => {
    const { exit, error } = await sluice(`workspace session open ${WS} --id bk-7`)
    expect([exit, error]).toEqual([2, expect.stringContaining('`session open` needs --user and --peer as well')])
    expect((await sluice(`workspace session extend ${WS}`)).error).toContain(
      '"extend" is nothing that is done to a session: open, close or list',
    )
    expect(asked).toEqual([])
  })
})
