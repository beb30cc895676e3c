// Security events at a running companion, from a transmitter of its own over HTTPS, pushed and polled: whose user or session they name is
// fenced by the real agent when the event is answered, its machine is ended and the access broker is told. What is forged or replayed does
// nothing; what came while the companion was dead is done when it is back; what the broker did not do is owed in the name of the event.
// SLUICE_REVOCATIONS says how many events the first of them times (100 for the figures in src/companion/README.md).

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { EVENTS } from '../../src/revocation/events.js'
import { until } from '../support/agent/running.js'
import { LabHost, macOf, PEER, SESSION_PORT, SINK, sourceOf, workspaceOf } from '../support/companion/lab-host.js'
import { UPLINK } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { Transmitter } from '../support/revocation/process.js'
import {
  AUDIENCE,
  type Claims,
  claimsOf,
  type Desk,
  ISSUER,
  jwksOf,
  makeDesk,
  signSet,
} from '../support/revocation/transmitter.js'
import { makeTls, type Tls } from '../support/tls.js'

const ROUNDS = Number(process.env.SLUICE_REVOCATIONS ?? 2)
const PORT = 7555
const TOKEN = 'a-token-of-the-transmitter'
const user = (id: string) => ({ format: 'opaque', id })
const PATIENCE_MS = 600_000

interface Listed {
  readonly sessionId: string
  readonly peer: string
  readonly ended?: { readonly reason: string }
}
interface Signal {
  readonly class_uid: number
  readonly status_code?: string
  readonly unmapped?: { readonly [name: string]: unknown }
}

labSuite('security events of a companion', () => {
  let lab: Lab
  let host: LabHost
  let tls: Tls
  let desk: Desk
  let transmitter: Transmitter
  let made = 0
  const jtiOf = (): string => `e-${++made}`
  const sign = (claims: Claims, by: Desk = desk): Promise<string> => signSet(by, claimsOf(Date.now(), claims))
  /** While it is there the hook of the broker refuses. */
  const broken = (): string => host.path('host/broken')

  const streams = (folder: string): string => {
    writeFileSync(join(folder, 'idp.jwks.json'), jwksOf(desk))
    writeFileSync(join(folder, 'idp.token'), `${TOKEN}\n`)
    const stream = (name: string, kind: 'push' | 'poll') => `
    - name: ${name}
      kind: ${kind}
      issuer: ${ISSUER}
      audience: ["${AUDIENCE}"]
      keys: host/idp.jwks.json
      algorithms: [RS256]
      token_file: host/idp.token
      ca: ${tls.caFile}
      ${kind === 'poll' ? `url: "https://localhost:${PORT}/poll"` : ''}`
    const hook = `test ! -e ${join(folder, 'broken')} && cat >> ${join(folder, 'closed.ndjson')}`
    return `broker:
  - {name: local, kind: command, command: [/bin/sh, -c, ${JSON.stringify(hook)}], timeout_seconds: 10, tries: 1}
revocation:
  listen: 127.0.0.1:7444
  certificate: ${tls.certFile}
  key: ${tls.keyFile}
  silence: alarm
  streams:${stream('idp', 'push')}${stream('hr', 'poll')}
`
  }
  /** What the broker was told; one that was late is told again, under the same id. */
  const closed = (): readonly { readonly [word: string]: string }[] => {
    const file = host.path('host/closed.ndjson')
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []
    const told = lines.map((line) => JSON.parse(line) as { readonly requestId: string })
    return [...new Map(told.map((one) => [one.requestId, one])).values()]
  }
  const events = (): readonly Signal[] =>
    readFileSync(host.path('host/events.ndjson'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  const flags = async (n: number): Promise<readonly string[]> => {
    const { workspaces } = (await host.agent.ask('status')).json
    return workspaces.find((one: { workspace: string }) => one.workspace === workspaceOf(n))?.flags
  }
  const listed = async (n: number) => (await host.list()).find(({ profile }) => profile.workspace === workspaceOf(n))
  const reached = (n: number, state: string) =>
    until(`workspace ${n} to be ${state}`, async () => {
      const now = await listed(n)
      return now?.state === state && now.doing === '' && now.owed.length === 0
    })
  /** Whether a first segment from the peer of the broker comes out at the machine's interface. */
  const reaches = async (n: number): Promise<boolean> => {
    const [tap, port] = [`tap${n}`, SESSION_PORT]
    await lab.exec('node', ['ip', 'neigh', 'replace', sourceOf(n), 'lladdr', macOf(n), 'dev', tap, 'nud', 'permanent'])
    const sniffer = await lab.sniff('node', tap, 64)
    const { outcome } = await lab.out.tcp({ host: sourceOf(n), port, localAddress: PEER, timeoutMs: 1_500 })
    expect(outcome).toBe('timeout')
    await sniffer.settle(300, 3_000)
    await sniffer.close()
    return sniffer.frames.some(({ bytes, way }) => way === 'out' && Buffer.from(bytes).readUInt16BE(36) === port)
  }
  const running = async (n: number): Promise<void> => {
    await host.lift(n)
    await host.change('start', n)
  }

  beforeAll(async () => {
    tls = makeTls()
    desk = await makeDesk()
    lab = await openLab()
    host = await LabHost.open(lab, 2, { more: streams })
    transmitter = await Transmitter.start(lab.namespace('node'), {
      ...{ tls, desk, port: PORT, pushUrl: 'https://localhost:7444/idp', token: TOKEN },
    })
    for (const n of [0, 1]) await host.change('create', n)
  }, PATIENCE_MS)
  afterAll(async () => {
    await transmitter?.close()
    await host?.close()
    await lab?.close()
    tls?.remove()
  }, PATIENCE_MS)

  it(`are fences when they are answered, ${ROUNDS} times: no octet leaves afterwards`, {
    timeout: 3_600_000,
  }, async () => {
    const answered: number[] = []
    const fenced: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      await running(0)
      const sniffer = await lab.sniff('node', UPLINK.node.interface, 64)
      const sent = () =>
        sniffer.frames.filter(({ bytes, way }) => way === 'out' && bytes.subarray(26, 30).join('.') === sourceOf(0))
      await until('the workspace to push', () => sent().length > 20)
      const jti = jtiOf()
      const { status, body, ms } = await transmitter.push(await sign({ jti, sub_id: user('user0') }))
      const answeredAtMs = Date.now()
      expect([status, body]).toEqual([202, ''])
      // Not waited for: the answer said so.
      if (round === 0) {
        expect(await flags(0)).toContain('quarantined')
        expect(await flags(1)).not.toContain('quarantined')
      }
      await sniffer.settle(300, 3_000)
      expect(sent().at(-1)?.atMs).toBeLessThanOrEqual(answeredAtMs)
      await sniffer.close()
      await reached(0, 'revoked')
      const told = await until('the trail to have it', () => events().find(({ unmapped }) => unmapped?.jti === jti))
      expect(told).toMatchObject({ class_uid: 6003, status_code: 'signal.fenced' })
      answered.push(ms)
      fenced.push(Number(told.unmapped?.elapsed_ms))
    }
    expect(closed().map(({ action, workspace, user: whose }) => [action, workspace, whose])).toEqual(
      Array.from({ length: ROUNDS }, () => ['close-sessions', workspaceOf(0), 'user0']),
    )
    if (process.env.SLUICE_REVOCATIONS !== undefined)
      console.log(
        `${ROUNDS} events; received to fence read back ms ${spread(fenced)}; pushed to answered ms ${spread(answered)}`,
      )
  })

  it('end what the access broker opened by `sluice workspace session`', { timeout: PATIENCE_MS }, async () => {
    await running(1)
    const words = ['--id', 'bk-1', '--user', 'user1', '--peer', PEER, '--minutes', '30']
    const list = async (): Promise<readonly string[]> => {
      const { json } = await host.ask('workspace', 'session', 'list')
      return json.sessions.map((one: Listed) => `${one.sessionId} ${one.peer} ${one.ended?.reason ?? 'open'}`)
    }
    expect(await reaches(1)).toBe(false)
    const none = await host.ask('workspace', 'session', 'open', workspaceOf(1), ...words.with(5, SINK))
    expect([none.exit, none.said]).toEqual([2, expect.stringContaining('no signed ingress clause with a session')])
    const opened = await host.ask('workspace', 'session', 'open', workspaceOf(1), ...words)
    expect(opened.json).toMatchObject({ changed: true, grants: [`ingress/tcp/${PEER}/32/${SESSION_PORT}`] })
    await until('the peer to be let in', () => reaches(1))
    expect(await list()).toEqual([`bk-1 ${PEER} open`])
    expect((await transmitter.push(await sign({ jti: jtiOf(), sub_id: user('user1') }))).status).toBe(202)
    // Its interface goes with the machine, so that nobody can be seen not to reach it until it runs again.
    expect(await flags(1)).toContain('quarantined')
    await reached(1, 'revoked')
    // The fence came first; what the record of the session says is whichever of the two was written before the other.
    expect(await list()).toEqual([expect.stringMatching(`^bk-1 ${PEER} (quarantined|detached)$`)])
    await running(1)
    expect(await reaches(1)).toBe(false)
    const again = await host.ask('workspace', 'session', 'open', workspaceOf(1), ...words)
    expect([again.exit, again.said]).toEqual([4, expect.stringContaining('is over (')])
  })

  it('close the one session that they name, take back no delegation, and kill what was killed', {
    timeout: PATIENCE_MS,
  }, async () => {
    await running(1)
    const named = async (id: string): Promise<number> => {
      const subject = { format: 'complex', session: { format: 'opaque', id } }
      return (await transmitter.push(await sign({ jti: jtiOf(), sub_id: subject }))).status
    }
    const open = (id: string) =>
      host.ask(
        ...['workspace', 'session', 'open', workspaceOf(1), '--id', id],
        ...['--user', 'user1', '--peer', PEER, '--minutes', '30'],
      )
    expect((await open('bk-2')).json).toMatchObject({ changed: true })
    expect([await named('bk-2'), await named('bk-3')]).toEqual([202, 202])
    const { json } = await host.ask('workspace', 'session', 'list')
    expect(json.sessions.find(({ sessionId }: Listed) => sessionId === 'bk-2')?.ended).toBeDefined()
    const late = await open('bk-3')
    expect([late.exit, late.said]).toEqual([4, expect.stringContaining('is over (revoked)')])
    expect([await flags(1), (await listed(1))?.state]).toEqual([[], 'running'])

    const taken = { [EVENTS['delegation-revoked'].uri]: { delegation_issuer: ISSUER, delegation_id: 'd-1' } }
    const answer = await transmitter.push(await sign({ jti: jtiOf(), sub_id: user('user1'), events: taken }))
    expect([answer.status, (JSON.parse(answer.body) as { err: string }).err]).toEqual([400, 'access_denied'])

    const killed = { [EVENTS['workspace-killed'].uri]: {} }
    const about = { format: 'uri', uri: workspaceOf(1) }
    expect((await transmitter.push(await sign({ jti: jtiOf(), sub_id: about, events: killed }))).status).toBe(202)
    expect(await flags(1)).toContain('quarantined')
    await reached(1, 'killed')
  })

  it('that are forged, or have been done already, do nothing', { timeout: PATIENCE_MS }, async () => {
    await running(0)
    await running(1)
    const before = closed().length
    const forged = await sign({ jti: jtiOf(), sub_id: user('user0') }, await makeDesk())
    const answer = await transmitter.push(forged)
    expect([answer.status, (JSON.parse(answer.body) as { err: string }).err]).toEqual([400, 'invalid_key'])
    const set = await sign({ jti: 'again', sub_id: user('user0') })
    expect((await transmitter.push(set)).status).toBe(202)
    await reached(0, 'revoked')
    await running(0)
    expect((await transmitter.push(set)).status).toBe(202)
    expect([await flags(0), (await listed(0))?.state]).toEqual([[], 'running'])
    expect(closed()).toHaveLength(before + 1)
    expect([await flags(1), (await listed(1))?.state]).toEqual([[], 'running'])
  })

  it('that name a session are polled, also those that came while the companion was dead', {
    timeout: PATIENCE_MS,
  }, async () => {
    await host.crash()
    const jti = jtiOf()
    const subject = { format: 'complex', session: { format: 'opaque', id: 'session1' } }
    await transmitter.queue(jti, await sign({ jti, sub_id: subject }))
    // Its machine goes on without a companion, behind its fence.
    expect(host.pushers().some(({ tap }) => tap === 'tap1')).toBe(true)
    await host.start()
    await until('the acknowledgement', async () => !(await transmitter.seen()).waiting.includes(jti))
    expect(await flags(1)).toContain('quarantined')
    await reached(1, 'revoked')
    expect(host.pushers().some(({ tap }) => tap === 'tap1')).toBe(false)
    expect((await transmitter.seen()).errors).toEqual([])
    const told = closed().at(-1)
    expect(told).toMatchObject({ action: 'close-sessions', workspace: workspaceOf(1), user: 'user1' })
    expect(told?.reason).toMatch(/^session-revoked by https:\/\/idp\.example\.com\/, jti e-\d+, received 20\d\d-/)
    expect(told?.requestId).toMatch(/^set-[0-9a-f]{32}-[0-9a-f]{12}$/)
  })

  it('are answered though the broker refuses, which hears of them later in the same name', {
    timeout: PATIENCE_MS,
  }, async () => {
    await running(1)
    writeFileSync(broken(), '')
    const [jti, before] = [jtiOf(), closed().length]
    expect((await transmitter.push(await sign({ jti, sub_id: user('user1') }))).status).toBe(202)
    await until('the sessions to be owed', async () => (await listed(1))?.owed.includes('sessions'))
    rmSync(broken())
    await reached(1, 'revoked')
    const [told, ...more] = closed().slice(before)
    expect(more).toEqual([])
    expect(told?.reason).toContain(`jti ${jti},`)
    const ofRequest = () => events().filter(({ unmapped }) => unmapped?.request_id === told?.requestId)
    const [first, later] = await until('both in the trail', () => {
      const found = ofRequest()
      return found.length > 1 ? found : undefined
    })
    expect(first?.unmapped).toMatchObject({ state: 'revoked', owed: 'sessions', by: 'stream:idp' })
    expect(later).toMatchObject({
      status_code: 'workspace.revoke',
      unmapped: { by: 'stream:idp', steps: expect.any(String) },
    })
    expect(later?.unmapped?.steps).toMatch(/^sessions done \d+ ms$/)
    expect(later?.unmapped?.owed_since).toEqual(expect.any(Number))
  })
})

const spread = (list: readonly number[]): string => {
  const sorted = [...list].sort((a, b) => a - b)
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1)
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`
}
