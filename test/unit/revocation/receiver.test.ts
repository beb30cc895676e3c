// The order of keeping, doing and answering, with each step failing in turn: no event that was acknowledged is lost, none that was done
// is done twice, and a disk that refuses keeps no workspace open. And the memory on a real directory, cut off at any write.

import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { agentFault } from '../../../src/agent/errors.js'
import { NODE_FILES, type StateFiles } from '../../../src/agent/files.js'
import { RevocationMemory, readStreams } from '../../../src/agent/revocation-memory.js'
import type { WorkspaceId } from '../../../src/plan/model.js'
import { identityOf } from '../../../src/plan/subject.js'
import { EVENTS } from '../../../src/revocation/events.js'
import { readKeys } from '../../../src/revocation/keys.js'
import type { Deeds, Mapped } from '../../../src/revocation/model.js'
import { Receiver, type ReceiverHost, type Reply, type Told } from '../../../src/revocation/receiver.js'
import { SET_OLDEST_MS } from '../../../src/revocation/set.js'
import { standingOf } from '../../../src/revocation/silence.js'
import { claimsOf, type Desk, jwksOf, makeDesk, signSet, streamOf } from '../../support/revocation/transmitter.js'

const NOW = 1_775_014_138_000
const ONE = 'spiffe://fleet.example/ws/one'
const TWO = 'spiffe://fleet.example/ws/two'
const TENANT = { format: 'complex', tenant: { format: 'opaque', id: 't' } }
const MAPPED: readonly Mapped[] = [ONE, TWO].map((workspace) => ({
  workspace,
  subjects: { tenant: [identityOf('opaque', 't')] },
}))

let directory: string
let nowMs: number
let desk: Desk
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-receiver-'))
  nowMs = NOW
  desk ??= await makeDesk('k1', 'ES256')
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

class Rig {
  readonly fenced: string[] = []
  readonly revoked: Pick<Deeds, 'agents' | 'delegations'>[] = []
  readonly told: Told[] = []
  mapped: readonly Mapped[] | undefined = MAPPED
  broken: ReadonlySet<WorkspaceId> = new Set()
  /** Whom an earlier run fenced. */
  before: readonly WorkspaceId[] = []
  tries = 0
  /** What happens when ids are put beyond use. */
  meanwhile: (ids: readonly string[]) => void = () => undefined
  /** How long a fence may keep its event from being kept: here next to nothing. */
  patience: () => Promise<void> = () => new Promise((resolve) => setImmediate(resolve))
  /** Held back until it is called. */
  gate: Promise<void> = Promise.resolve()
  readonly memory: RevocationMemory
  readonly receiver: Receiver

  constructor(files: StateFiles = NODE_FILES, most?: number) {
    this.memory = new RevocationMemory(directory, () => nowMs, files, most)
    const host: ReceiverHost = {
      memory: this.memory,
      nowMs: () => nowMs,
      keys: () => readKeys(new TextEncoder().encode(jwksOf(desk)), 'k.json'),
      mapped: () => this.mapped,
      fence: async (workspace) => {
        await this.gate
        this.tries++
        if (this.broken.has(workspace)) throw new Error('the backend is lost')
        this.fenced.push(workspace.slice(-3))
      },
      sleep: () => this.patience(),
      fencedBy: () => this.before,
      revoke: (deeds) => {
        this.revoked.push(deeds)
      },
      revokeSessionIds: (ids) => {
        this.meanwhile(ids)
      },
      expects: (_stream, state) => state === 'ours',
      tell: (told) => {
        this.told.push(told)
      },
    }
    this.receiver = new Receiver(host)
  }

  async send(claims: object = {}): Promise<string> {
    const token = await signSet(desk, claimsOf(nowMs, { sub_id: TENANT, ...claims }))
    return word(await this.receiver.receive(streamOf(), token, '192.0.2.1'))
  }
  resume = () => this.receiver.resume([streamOf()])
  words = () => this.told.map((told) => (told.kind === 'taken' ? told.outcome : told.kind))
}
const word = (reply: Reply): string =>
  reply.kind === 'taken' ? (reply.again ? 'again' : 'taken') : reply.kind === 'refused' ? reply.refusal.err : reply.kind
const SLOW = { timeout: 30_000 }
const inFolder = (folder: string): number => readdirSync(join(directory, 'revocation', folder)).length

describe('an event', () => {
  it('is done once, however often it comes, also at once', async () => {
    const rig = new Rig()
    let open = (): void => undefined
    rig.gate = new Promise((resolve) => {
      open = resolve
    })
    const both = Promise.all([rig.send(), rig.send()])
    open()
    expect((await both).sort()).toEqual([expect.stringMatching(/^(again|taken)$/), 'taken'])
    expect(await rig.send()).toBe('again')
    expect(rig.fenced).toEqual(['one', 'two'])
    expect([rig.words(), inFolder('inbox'), inFolder('done')]).toEqual([['fenced'], 0, 1])
    expect(await new Rig().send()).toBe('again')
  })

  it('is kept before it is done, and done again after a crash in between', async () => {
    const rig = new Rig()
    rig.gate = new Promise(() => undefined) // killed here
    void rig.send()
    await expect.poll(() => inFolder('inbox')).toBe(1)
    const next = new Rig()
    expect(await next.resume()).toBe(0)
    expect([next.fenced, inFolder('inbox'), inFolder('done')]).toEqual([['one', 'two'], 0, 1])
    expect(await next.send()).toBe('again')
  })

  it('ends a session that was opened while it was kept, and is not acknowledged before no other can be', async () => {
    const rig = new Rig()
    const session = { format: 'opaque', id: 's-1' } as const
    rig.meanwhile = () => {
      throw agentFault('AGENT_STORE_WRITE', { file: 'x' })
    }
    const subject = { format: 'complex', tenant: TENANT.tenant, session }
    expect(await rig.send({ sub_id: subject })).toBe('unavailable')
    expect(rig.fenced.splice(0)).toEqual(['one', 'two'])
    rig.meanwhile = (ids) => {
      expect(ids).toEqual(['s-1'])
      rig.mapped = [...MAPPED, { workspace: `${ONE}#s-1`, subjects: { session: [identityOf('opaque', 's-1')] } }]
    }
    expect([await rig.send({ sub_id: subject }), rig.fenced, rig.words().at(-1)]).toEqual(['taken', ['s-1'], 'fenced'])
  })

  it('is kept behind its fences, and before those that hang', async () => {
    const rig = new Rig()
    let open = (): void => undefined
    rig.gate = new Promise((resolve) => {
      open = resolve
    })
    // Called where the receiver waits for its fences.
    const waits: (() => void)[] = []
    rig.patience = () =>
      new Promise((resolve) => {
        waits.push(resolve)
      })
    const waited = (times: number): Promise<void> => expect.poll(() => waits.length, SLOW).toBe(times)
    const first = rig.send({ jti: 'first' })
    await waited(1)
    expect(inFolder('inbox')).toBe(0)
    open()
    expect([await first, rig.fenced]).toEqual(['taken', ['one', 'two']])
    rig.gate = new Promise(() => undefined)
    void rig.send({ jti: 'second' })
    await waited(2)
    expect(inFolder('inbox')).toBe(0)
    waits[1]?.()
    await expect.poll(() => inFolder('inbox'), SLOW).toBe(1)
  }, 120_000)

  it('of a stream that is configured no more is still done, as narrowly as can be', async () => {
    const rig = new Rig()
    rig.gate = new Promise(() => undefined)
    const risk = { [EVENTS['risk-level-change'].uri]: { principal: 'TENANT', current_level: 'HIGH' } }
    void rig.send({ events: risk })
    await expect.poll(() => inFolder('inbox')).toBe(1)
    const next = new Rig()
    expect([await next.receiver.resume([]), next.fenced]).toEqual([0, ['one', 'two']])
  })

  it('whose fence fails is not acknowledged, fences whom it can, and is tried again until it is done', async () => {
    const rig = new Rig()
    rig.broken = new Set([ONE])
    expect(await rig.send()).toBe('unavailable')
    nowMs += 1_000
    expect([[...rig.fenced], await rig.resume()]).toEqual([['two'], 1])
    rig.broken = new Set()
    nowMs += 2_000
    expect([await rig.resume(), inFolder('inbox'), rig.words().at(-1)]).toEqual([0, 0, 'fenced'])
    // Whom it fenced already an operator may have let out meanwhile.
    expect(rig.fenced).toEqual(['two', 'one'])
    expect(await rig.send()).toBe('again')
  })

  it('whose fence keeps failing is tried ever less often, and after a restart only where nothing is on record', async () => {
    const rig = new Rig()
    rig.broken = new Set([ONE])
    await rig.send()
    for (let second = 0; second < 60; second++) {
      expect(await rig.resume()).toBe(1)
      nowMs += 1_000
    }
    // The second workspace once; the first at 0, 1, 3, 7, 15 and then every ten seconds.
    expect([rig.fenced, rig.tries]).toEqual([['two'], 1 + 9])
    const next = new Rig()
    next.before = [TWO]
    expect([await next.resume(), next.fenced]).toEqual([0, ['one']])
  })

  it('that the disk refuses fences all the same, and is not acknowledged', async () => {
    let full = true
    const refuse = (): void => {
      if (full) throw new Error('ENOSPC')
    }
    const files: StateFiles = {
      ...NODE_FILES,
      writeSynced: (path, bytes) => {
        refuse()
        NODE_FILES.writeSynced(path, bytes)
      },
    }
    const rig = new Rig(files)
    expect([await rig.send(), rig.fenced, rig.words()]).toEqual(['unavailable', ['one', 'two'], ['failed']])
    full = false
    expect([await rig.send(), inFolder('done')]).toEqual(['taken', 1])
  })

  it('is kept and not acknowledged while nobody can say whose the workspaces are, and done when somebody can', async () => {
    const rig = new Rig()
    rig.mapped = undefined
    expect([await rig.send(), await rig.send(), await rig.resume(), inFolder('inbox')]).toEqual([
      'unavailable',
      'unavailable',
      1,
      1,
    ])
    expect(rig.words()).toEqual(['failed'])
    const delegation = { [EVENTS['delegation-revoked'].uri]: { delegation_issuer: 'b', delegation_id: 'd' } }
    expect([await rig.send({ jti: 'd', events: delegation }), rig.revoked.length]).toEqual(['taken', 1])
    rig.mapped = MAPPED
    expect([await rig.resume(), rig.fenced, rig.words()]).toEqual([0, ['one', 'two'], ['failed', 'revoked', 'fenced']])
  })

  it('that is one too many to be kept still fences, and is not acknowledged', async () => {
    const full = Array.from({ length: 1_000 }, (_, i) => `${'1'.padStart(15, '0')}-${String(i).padStart(32, '0')}.json`)
    const rig = new Rig({ ...NODE_FILES, list: (path) => (path.endsWith('inbox') ? full : NODE_FILES.list(path)) })
    expect([await rig.send(), rig.fenced, inFolder('inbox')]).toEqual(['unavailable', ['one', 'two'], 0])
  })

  it('that comes again with another issue time while it waits is one event', async () => {
    const rig = new Rig()
    rig.mapped = undefined
    await rig.send()
    await rig.send({ iat: nowMs / 1_000 - 7 })
    expect(inFolder('inbox')).toBe(1)
    rig.mapped = MAPPED
    expect([await rig.resume(), await rig.resume(), inFolder('inbox'), inFolder('done')]).toEqual([0, 0, 0, 1])
  })

  it('is not done again from a file that an earlier run left beside the one that was done', async () => {
    await new Rig().send()
    const [name = ''] = readdirSync(join(directory, 'revocation', 'done'))
    const twin = name.replace(/^\d{15}/, '000000000000001')
    copyFileSync(join(directory, 'revocation', 'done', name), join(directory, 'revocation', 'inbox', twin))
    const rig = new Rig()
    expect([inFolder('inbox'), await rig.resume(), rig.fenced]).toEqual([0, 0, []])
  })

  it('under the jti of another is another, as narrowly as a mistake can be taken', async () => {
    const rig = new Rig()
    expect([await rig.send(), await rig.send({ txn: 'again' })]).toEqual(['taken', 'again'])
    expect(await rig.send({ events: { [EVENTS['workspace-killed'].uri]: {} } })).toBe('taken')
    expect(rig.fenced).toEqual(['one', 'two', 'one', 'two'])
  })

  it('that takes back a delegation or an agent is given to where they are kept', async () => {
    const rig = new Rig()
    const delegation = { [EVENTS['delegation-revoked'].uri]: { delegation_issuer: 'b', delegation_id: 'd' } }
    expect(await rig.send({ jti: 'a', events: delegation })).toBe('taken')
    const agent = { format: 'complex', application: { format: 'opaque', id: 'agent-7' } }
    expect(await rig.send({ jti: 'b', sub_id: agent })).toBe('taken')
    expect(rig.revoked).toEqual([
      { fence: [], agents: [], delegations: [{ issuer: 'b', delegationId: 'd' }] },
      { fence: [], agents: ['agent-7'], delegations: [] },
    ])
    expect(rig.fenced).toEqual([])
  })

  it('of a whole tenant fences every one of many workspaces', async () => {
    const rig = new Rig()
    const subjects = MAPPED[0]?.subjects ?? {}
    rig.mapped = Array.from({ length: 300 }, (_, i) => ({
      workspace: `spiffe://fleet.example/ws/${1_000 + i}`,
      subjects,
    }))
    expect([await rig.send(), new Set(rig.fenced).size, rig.fenced.length]).toEqual(['taken', 300, 300])
  })
})

describe('a stream', () => {
  const verification = (state?: string) => ({
    sub_id: { format: 'opaque', id: 's-1' },
    events: { [EVENTS.verification.uri]: state === undefined ? {} : { state } },
  })
  const status = (word: string) => ({
    sub_id: { format: 'opaque', id: 's-1' },
    events: { [EVENTS['stream-updated'].uri]: { status: word } },
  })
  const standing = () => {
    const record = readStreams(directory).get('idp')
    return record && standingOf(record, 60_000, nowMs)
  }

  it('is heard by what was issued lately, not by what was held back', async () => {
    const rig = new Rig()
    rig.memory.record('idp')
    expect(standing()).toBe('heard')
    nowMs += 60_001
    expect(standing()).toBe('silent')
    expect(await rig.send({ iat: (nowMs - 61_000) / 1_000 })).toBe('taken')
    expect(standing()).toBe('silent')
    expect(await rig.send(verification('guessed'))).toBe('invalid_state')
    expect(standing()).toBe('silent')
    expect(await rig.send(verification('ours'))).toBe('taken')
    expect(standing()).toBe('heard')
    nowMs += 60_001
    expect([standing(), await rig.send(verification()), standing()]).toEqual(['silent', 'taken', 'heard'])
    expect([inFolder('inbox'), inFolder('done')]).toEqual([0, 1])
  })

  it('that says it is paused counts as lost until it says otherwise, in the order of its own words', async () => {
    const rig = new Rig()
    expect([await rig.send(status('paused')), standing()]).toEqual(['taken', 'paused'])
    const before = { ...status('enabled'), iat: nowMs / 1_000 - 5 }
    expect([await rig.send(before), standing()]).toEqual(['taken', 'paused'])
    nowMs += 1_000
    expect([await rig.send(verification()), standing()]).toEqual(['taken', 'paused'])
    expect([await rig.send(status('enabled')), standing()]).toEqual(['taken', 'heard'])
  })

  it('is not heard by a clock that has been set back', () => {
    expect(standingOf({ heardAtMs: NOW, status: 'enabled', statusAtMs: 0 }, 60_000, NOW - 300_000)).toBe('heard')
    expect(standingOf({ heardAtMs: NOW, status: 'enabled', statusAtMs: 0 }, 60_000, NOW - 300_001)).toBe('silent')
  })
})

describe('the memory', () => {
  it('forgets what could not be replayed any more, and no more than that', async () => {
    const rig = new Rig()
    await rig.send({ jti: 'old' })
    nowMs += SET_OLDEST_MS
    await rig.send({ jti: 'new' })
    expect(inFolder('done')).toBe(2)
    nowMs += 600_000
    await rig.send({ jti: 'newer' })
    expect(inFolder('done')).toBe(2)
    // By then the window refuses it.
    expect(await rig.send({ jti: 'old', iat: NOW / 1_000 })).toBe('invalid_request')
  })

  it('keeps a bounded number, the newest', async () => {
    const rig = new Rig(NODE_FILES, 3)
    for (const jti of ['a', 'b', 'c', 'd']) {
      await rig.send({ jti })
      nowMs += 1_000
    }
    expect(inFolder('done')).toBe(3)
    expect([await rig.send({ jti: 'd' }), await rig.send({ jti: 'a' })]).toEqual(['again', 'taken'])
  })

  it('cut off at any write, it is what it was or what it was to be, and the event is done', async () => {
    for (let cut = 0; cut < 14; cut++) {
      rmSync(join(directory, 'revocation'), { recursive: true, force: true })
      let writes = 0
      const step = (): void => {
        if (++writes > cut) throw new Error('killed')
      }
      const files: StateFiles = {
        ...NODE_FILES,
        writeSynced: (path, bytes) => {
          step()
          NODE_FILES.writeSynced(path, bytes)
        },
        rename: (from, to) => {
          step()
          NODE_FILES.rename(from, to)
        },
        syncDirectory: (path) => {
          step()
          NODE_FILES.syncDirectory(path)
        },
      }
      const before = new Rig(files)
      const answer = await before.send()
      expect([cut, before.fenced]).toEqual([cut, ['one', 'two']])
      const after = new Rig()
      expect([cut, await after.resume()]).toEqual([cut, 0])
      // Acknowledged: done for good. Otherwise it comes again, and then it is.
      expect([cut, await after.send(), inFolder('inbox'), inFolder('done')]).toEqual([
        cut,
        answer === 'taken' ? 'again' : expect.stringMatching(/^(taken|again)$/),
        0,
        1,
      ])
    }
  })
})
