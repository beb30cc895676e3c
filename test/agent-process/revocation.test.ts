// Security events against a real agent on nftables, from a transmitter of its own over HTTPS: a revoked session is a fence, pushed or
// polled, within what was declared; whatever is replayed, forged or out of time is not; keys rotate under the running agent; an agent
// that is killed in between comes back with the fence; and a transmitter that falls silent denies.

import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { EVENTS } from '../../src/revocation/events.js'
import { RunningAgent, until } from '../support/agent/running.js'
import { OUT } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { Transmitter } from '../support/revocation/process.js'
import {
  AUDIENCE,
  type Claims,
  claimsOf,
  type Desk,
  ISSUER,
  JANE,
  jwksOf,
  makeDesk,
  signSet,
} from '../support/revocation/transmitter.js'
import { makeTls, type Tls } from '../support/tls.js'
import { ID, ID2, reach, SLOTS } from './nodes.js'

/** 100 for the record. */
const ROUNDS = Number(process.env.SLUICE_REVOCATIONS ?? 5)
const PORT = 7555
const PUSH = 'https://localhost:7444/idp'
const TOKEN = 'a-token-of-the-transmitter'
const HTTP = '127.0.0.1:9465'
const BOB = { format: 'email', email: 'bob@example.com' }
/** On a machine that is busy a verification takes its time; what silence does has a test of its own, with a shorter one. */
const SILENCE = 'silence_seconds: 300'

vi.setConfig({ testTimeout: 300_000 })

const streamYaml = (name: string, kind: 'push' | 'poll', { caFile }: Tls): string => `
    - name: ${name}
      kind: ${kind}
      issuer: ${ISSUER}
      audience: ["${AUDIENCE}"]
      keys: idp.jwks.json
      algorithms: [RS256, ES256]
      token_file: idp.token
      ca: ${caFile}
      ${SILENCE}
      verification: {url: "https://localhost:${PORT}/verify/${kind}", stream_id: stream-1, interval_seconds: 1}
      ${kind === 'push' ? 'verification_token_file: idp.token' : `url: "https://localhost:${PORT}/poll"`}
`
const configOf = (tls: Tls): string => `http: "${HTTP}"
revocation:
  listen: 127.0.0.1:7444
  certificate: ${tls.certFile}
  key: ${tls.keyFile}
  streams:${streamYaml('idp', 'push', tls)}${streamYaml('hr', 'poll', tls)}
`

interface Signal {
  readonly status_code?: string
  readonly class_uid: number
  readonly unmapped?: { readonly jti?: string; readonly elapsed_ms?: number; readonly stream?: string }
}

labSuite('security events of a running agent', () => {
  let lab: Lab
  let agent: RunningAgent
  let tls: Tls
  let desk: Desk
  let transmitter: Transmitter
  let made = 0
  const jtiOf = (): string => `e-${++made}`
  const sign = (claims: Claims, key: Desk = desk) => signSet(key, claimsOf(Date.now(), { jti: jtiOf(), ...claims }))
  const starting = () =>
    Transmitter.start(lab.namespace('node'), { tls, port: PORT, pushUrl: PUSH, token: TOKEN, desk })
  const flags = async (workspace: string): Promise<readonly string[]> => {
    const { workspaces } = (await agent.ask('status')).json
    return workspaces.find((entry: { workspace: string }) => entry.workspace === workspace)?.flags
  }
  const streams = async () =>
    (await agent.ask('status')).json.streams as readonly { name: string; standing: string; taken: number }[]
  const lift = async (workspace: string): Promise<void> => {
    expect((await agent.ask('quarantine', 'lift', workspace, '--reason', 'tested')).exit).toBe(0)
  }
  const signals = (): Signal[] => (agent.events() as Signal[]).filter(({ class_uid }) => class_uid === 6003)
  const signal = (jti: string) =>
    until(`the trail to have ${jti}`, () => signals().find(({ unmapped }) => unmapped?.jti === jti))
  const connected = () =>
    until('a connection', async () => (await reach(lab)) === 'connected').then(() => 'connected' as const)

  beforeAll(async () => {
    lab = await openLab()
    tls = makeTls()
    desk = await makeDesk('k1', 'RS256')
    agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, configOf(tls))
    const [first = '', second = ''] = readFileSync(agent.path('inventory.yaml'), 'utf8').split(
      /(?=\n {2}- id: .*two\n)/,
    )
    const owner = (subject: object) => `\n    subjects: {user: [${JSON.stringify(subject)}]}`
    agent.write('inventory.yaml', `${first.trimEnd()}${owner(JANE)}${second.trimEnd()}${owner(BOB)}\n`)
    rmSync(agent.path('inventory.jws.json'))
    await agent.must('inventory sign inventory.yaml --key keys/inventory.key')
    agent.write('idp.token', `${TOKEN}\n`)
    agent.write('idp.jwks.json', jwksOf(desk))
    transmitter = await starting()
    await agent.publish(1, [OUT.git], [ID, ID2])
    agent.start()
    await agent.told('active')
  }, 180_000)
  afterAll(async () => {
    await transmitter?.close()
    await agent?.close()
    tls?.remove()
    await lab?.close()
  }, 60_000)

  it('streams prove themselves by what comes back', async () => {
    await until('both to be verified', async () => (await streams()).every(({ taken }) => taken > 1))
    expect(await streams()).toEqual([
      expect.objectContaining({ name: 'idp', kind: 'push', standing: 'heard' }),
      expect.objectContaining({ name: 'hr', kind: 'poll', standing: 'heard' }),
    ])
    expect(await connected()).toBe('connected')
  })

  it(`a revoked session is a fence when it is answered, ${ROUNDS} times`, async () => {
    const [answered, fenced]: [number[], number[]] = [[], []]
    for (let round = 0; round < ROUNDS; round++) {
      const jti = jtiOf()
      const { status, body, ms } = await transmitter.push(await sign({ jti }))
      expect([status, body]).toEqual([202, ''])
      // Nothing is waited for: the answer said so.
      expect(await flags(ID)).toEqual(['quarantined'])
      if (round === 0) expect([await reach(lab), await flags(ID2)]).toEqual(['timeout', []])
      const { status_code: code, unmapped } = await signal(jti)
      expect(code).toBe('signal.fenced')
      answered.push(ms)
      fenced.push(Number(unmapped?.elapsed_ms))
      await lift(ID)
    }
    expect(await connected()).toBe('connected')
    const at = (list: number[], share: number) =>
      list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))]?.toFixed(1)
    const line = (list: number[]) => `p50 ${at(list, 0.5)} p99 ${at(list, 0.99)} max ${at(list, 1)} ms`
    process.stdout.write(
      `revocation: received to fence read back: ${line(fenced)}; pushed to answered: ${line(answered)}\n`,
    )
  }, 600_000)

  it('the receipt of the quarantine names the event and when it was received', async () => {
    const { json } = await agent.ask('status')
    expect(json.quarantines).toEqual([])
    const folder = agent.path('state/receipts')
    const tokens = readdirSync(folder).filter((name) => name.includes('quarantine-set'))
    const payload = readFileSync(`${folder}/${tokens.at(-1)}`, 'utf8').split('.')[1] ?? ''
    const receipt = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
    expect(receipt).toMatchObject({ action: 'quarantine-set', workspace: ID, by: 'stream:idp' })
    expect(receipt.commandId).toMatch(/^set-[0-9a-f]{32}$/)
    expect(receipt.reason).toMatch(/^session-revoked by https:\/\/idp\.example\.com\/, jti e-\d+, received 20\d\d-/)
  })

  it('what is replayed does nothing, also after a lift and a restart; what is late but in time still does', async () => {
    const set = await sign({ jti: 'again', iat: Math.floor(Date.now() / 1000) - 3_600 })
    expect((await transmitter.push(set)).status).toBe(202)
    expect(await flags(ID)).toEqual(['quarantined'])
    await lift(ID)
    expect((await transmitter.push(set)).status).toBe(202)
    expect(await flags(ID)).toEqual([])
    expect(await agent.stop()).toBe(0)
    agent.start()
    await agent.told('revocation')
    expect((await transmitter.push(set)).status).toBe(202)
    expect(await flags(ID)).toEqual([])
  }, 120_000)

  const DAY = 86_400
  it.each([
    ['a clock a day behind', { iat: Math.floor(Date.now() / 1000) - DAY - 60 }, 'invalid_request'],
    ['a clock an hour ahead', { iat: Math.floor(Date.now() / 1000) + 3_600 }, 'invalid_request'],
    ['another audience', { aud: 'https://else.example' }, 'invalid_audience'],
    ['another issuer', { iss: 'https://else.example/' }, 'invalid_issuer'],
    ['a word that nobody sent', { events: { [EVENTS.verification.uri]: { state: 'guessed' } } }, 'invalid_state'],
  ])('refuses %s and fences nobody', async (_name, claims, err) => {
    const { status, body } = await transmitter.push(await sign(claims))
    expect([status, (JSON.parse(body) as { err: string }).err]).toEqual([400, err])
    expect(await flags(ID)).toEqual([])
    await until('the trail to say so', () => signals().some(({ status_code: code }) => code === err))
  })

  it('refuses whoever is not the transmitter, and what is no SET', async () => {
    const set = await sign({})
    const wrong = await transmitter.push(set, { bearer: 'guessed' })
    expect([wrong.status, JSON.parse(wrong.body)]).toEqual([
      400,
      { err: 'authentication_failed', description: 'the bearer token is missing or wrong' },
    ])
    expect((await transmitter.push(set, { url: 'https://localhost:7444/hr' })).status).toBe(404)
    expect((await transmitter.push('x'.repeat(100_000))).status).toBe(413)
    expect((await transmitter.push('x')).status).toBe(400)
    expect(await flags(ID)).toEqual([])
  })

  it('subjects that nobody here is are acknowledged and told; a tenant of nobody, too', async () => {
    const jti = jtiOf()
    expect((await transmitter.push(await sign({ jti, sub_id: { ...JANE, sub: 'mallory' } }))).status).toBe(202)
    expect((await signal(jti)).status_code).toBe('signal.unmapped')
    expect([await flags(ID), await flags(ID2)]).toEqual([[], []])
  })

  it('polled: done, then acknowledged; what is wrong goes back as an error', async () => {
    await transmitter.queue('p-1', await sign({ jti: 'p-1', sub_id: BOB }))
    await transmitter.queue('p-2', await sign({ jti: 'p-2', aud: 'https://else.example' }))
    await transmitter.queue('p-3', await sign({ jti: 'other', sub_id: { ...JANE, sub: 'nobody' } }))
    await until('all to be settled', async () => {
      const { waiting } = await transmitter.seen()
      return !waiting.some((jti) => jti.startsWith('p-'))
    })
    expect(await flags(ID2)).toEqual(['quarantined'])
    expect((await transmitter.seen()).errors).toEqual([
      { jti: 'p-2', err: 'invalid_audience', description: 'aud does not name this receiver' },
      { jti: 'p-3', err: 'invalid_request', description: 'the key is not the jti of the SET' },
    ])
    await lift(ID2)
  })

  it('a delegation that was revoked is kept, also over a kill', async () => {
    const revoked = { delegation_issuer: 'https://broker.example', delegation_id: 'd-7' }
    const events = { [EVENTS['delegation-revoked'].uri]: revoked }
    expect((await transmitter.push(await sign({ events }))).status).toBe(202)
    await agent.kill()
    expect(readFileSync(agent.path('state/revoked.json'), 'utf8')).toContain('"https://broker.example d-7"')
    agent.start()
    await agent.told('revocation')
  }, 60_000)

  it('keys rotate without a restart: the new one is believed, the old one no more', async () => {
    const next = await makeDesk('k2', 'ES256')
    expect((await transmitter.push(await sign({ sub_id: BOB }, next))).status).toBe(400)
    agent.write('idp.jwks.next', jwksOf(next))
    renameSync(agent.path('idp.jwks.next'), agent.path('idp.jwks.json'))
    expect((await transmitter.push(await sign({ sub_id: BOB }, next))).status).toBe(202)
    expect(await flags(ID2)).toEqual(['quarantined'])
    expect((await transmitter.push(await sign({ sub_id: JANE }))).status).toBe(400)
    expect(await flags(ID)).toEqual([])
    await lift(ID2)
    writeFileSync(agent.path('idp.jwks.json'), jwksOf(desk, next))
  })

  it('metrics say what came and how long it took', async () => {
    const program = `fetch('http://${HTTP}/metrics').then((reply) => reply.text()).then((text) => process.stdout.write(text))`
    const { stdout } = await lab.exec('node', [process.execPath, '-e', program])
    expect(stdout).toMatch(/^sluice_revocation_events_total\{stream="idp",outcome="fenced"\} [1-9]/m)
    expect(stdout).toMatch(/^sluice_revocation_duration_seconds_bucket\{le="\+Inf",stream="idp"\} [1-9]/m)
    expect(stdout).toMatch(/^sluice_revocation_stream_heard\{stream="idp"\} 1$/m)
  })

  it('an agent that is killed between the event and its fence comes back and fences', async () => {
    await agent.kill()
    // As the crash leaves it: the event was kept, and nothing else was done.
    const done = agent.path('state/revocation/done')
    const name = readdirSync(done)
      .sort()
      .find((one) => readFileSync(`${done}/${one}`, 'utf8').includes('"jti":"again"'))
    renameSync(`${done}/${name}`, agent.path(`state/revocation/inbox/${name}`))
    agent.start()
    await agent.told('revocation')
    expect(await flags(ID)).toEqual(['quarantined'])
    expect(existsSync(`${done}/${name}`)).toBe(true)
    await lift(ID)
  }, 60_000)

  it('killed at any moment after it was asked, no event is lost', async () => {
    for (let round = 0; round < Math.min(ROUNDS, 20); round++) {
      const set = await sign({})
      const answer = transmitter.push(set)
      const kill = new Promise((resolve) => setTimeout(resolve, round % 10)).then(() => agent.kill())
      const [{ status }] = await Promise.all([answer, kill])
      agent.start()
      await agent.told('revocation')
      // A transmitter sends again what was not answered (RFC 8935 section 2.1).
      if (status !== 202) expect((await transmitter.push(set)).status).toBe(202)
      expect(await flags(ID)).toEqual(['quarantined'])
      await lift(ID)
    }
  }, 600_000)

  it('a transmitter that falls silent, and then is gone, denies every workspace; heard again it gives them back', async () => {
    await agent.kill()
    agent.write('agent.yaml', readFileSync(agent.path('agent.yaml'), 'utf8').replaceAll(SILENCE, 'silence_seconds: 5'))
    agent.start()
    await agent.told('revocation')
    await transmitter.mute(true)
    await until('both streams to be silent', async () =>
      (await streams()).every(({ standing }) => standing === 'silent'),
    )
    await until('everything to be denied', async () => (await flags(ID))?.includes('suspended'))
    await until('the other as well', async () => (await flags(ID2))?.includes('suspended'))
    expect(await reach(lab)).toBe('timeout')
    const codes = () => agent.events().map(({ status_code: code }) => code)
    for (const code of ['stream.silent', 'revocation-silent'])
      await until(`the trail to say ${code}`, () => codes().includes(code))
    await transmitter.close()
    await until('a question that nobody answers', async () =>
      ((await agent.ask('status')).json.streams[1].error as string | undefined)?.includes('ECONNREFUSED'),
    )
    transmitter = await starting()
    await until('everything to be given back', async () => (await flags(ID))?.length === 0)
    expect(await connected()).toBe('connected')
    await until('the trail to say so', () => codes().includes('stream.heard'))
  }, 180_000)
})
