// The whole of it, with a real machine: `sluice agent` fences, `sluice image fetch` and `sluice companion` bring Debian's kernel up in QEMU
// behind that fence, and every word of `sluice workspace` is asked from outside. The guest tries what it was granted and what it was not,
// over and over; a rebake gives it a fresh layer over a newer image, a kill ends it behind its fence, and nothing is left of it.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Image } from '../../src/bundle/images.js'
import { generateKey, signerOf } from '../../src/bundle/key-file.js'
import { parseTrustRoot, rootDocument } from '../../src/bundle/root.js'
import { virtiofsd } from '../../src/companion/drivers/qemu-probe.js'
import { PROGRAM, RunningAgent, type Slotted, until } from '../support/agent/running.js'
import { listOf, published, publishList } from '../support/companion/images.js'
import { BootFolder, PATIENCE_MS } from '../support/companion/machine.js'
import { OUT, UPLINK, WS } from '../support/lab/addresses.js'
import { type Lab, openLab } from '../support/lab/lab.js'
import { labSuite } from '../support/lab/suite.js'
import { Mtls } from '../support/mtls.js'
import { cannotServe } from '../support/vault/served.js'

const ID = 'spiffe://fleet.example/ws/machine'
const COMPANION = 'spiffe://fleet.example/companion/h1'
const LISTEN = `${UPLINK.node.v4}:7443`
const DAY_MS = 86_400_000
const SLOT: Slotted = {
  ...{ workspace: ID, slot: WS.slot, kind: 'tap', mac: WS.mac, gatewayMac: WS.gatewayMac },
  ...{ addresses: [WS.v4], gateways: [WS.gateway4] },
}
/** Says which image it is and what its disk begins with, writes there, and tries two addresses for as long as it lives. */
const COMMAND = `
ip link set eth0 up; ip address add ${WS.v4}/30 dev eth0; ip route add default via ${WS.gateway4}
mkdir -p /data; mount -t virtiofs work /data 2>/dev/null && echo "volume: $(cat /data/project/given)"
first() { dd if=/dev/vda bs=6 count=1 2>/dev/null; }
echo "up with $(cat /proc/cmdline)"
echo "disk before: $(first)"; printf dirty. | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null; echo "disk after: $(first)"
try() { if timeout 5 wget -q -O /dev/null http://$2/; then echo "$1 reached"; else echo "$1 refused"; fi; }
while :; do try unlisted ${OUT.unlisted}; try granted ${OUT.git}; sleep 1; done`

/** Where volumes can be served and shared the machine has one, also after its workspace was detached and attached again. */
const hasVolume = cannotServe === undefined && virtiofsd() !== undefined

labSuite('a machine from its image to its end, by the command line', () => {
  const builder = generateKey({ role: 'image', kid: 'image-1' }, (length) => randomBytes(length))
  const heard: { readonly event: string; readonly change?: string; readonly by?: string }[] = []
  let mtls: Mtls
  let boot: BootFolder
  let lab: Lab
  let agent: RunningAgent
  let companion: ChildProcess
  let said = ''
  let tiny: Image

  const at = (name: string) => agent.path(name)
  /** One command line; what it refuses ends the test with its words. */
  async function sluice(...words: readonly string[]) {
    const { exit, json, stderr } = await agent.ask(...words)
    if (exit !== 0) throw new Error(`sluice ${words.join(' ')}: ${exit}: ${JSON.stringify(json)}${stderr}\n${said}`)
    return json
  }
  const workspace = (word: string, ...more: readonly string[]) => sluice('workspace', word, ID, ...more)
  const listed = async () => (await sluice('workspace', 'list')).workspaces[0]
  /** An emulated machine on a loaded one boots slowly. */
  async function consoleHas(pattern: RegExp): Promise<string> {
    for (const endMs = Date.now() + PATIENCE_MS; ; await sleep(500)) {
      const { output } = (await workspace('console')) as { readonly output: string }
      if (pattern.test(output)) return output
      if (Date.now() > endMs) throw new Error(`waited in vain for ${String(pattern)}: ${output.slice(-3_000)}`)
    }
  }
  /** Publishes and fetches a list that has the same files as these versions. */
  async function fetched(revision: bigint, ...versions: readonly number[]) {
    const { kernel } = tiny
    const images = versions.map((version) => {
      const commandLine = kernel?.commandLine.replace(/image=.*/, `image=${version}`) ?? ''
      return { ...tiny, version, ...(kernel ? { kernel: { ...kernel, commandLine } } : {}) }
    })
    await publishList(at('published'), listOf(Date.now(), images, { revision }), signerOf(builder))
    return sluice('image', 'fetch', 'published')
  }
  const steps = (done: { readonly steps: readonly { readonly step: string; readonly outcome: string }[] }) =>
    done.steps.map(({ step, outcome }) => (outcome === 'done' ? step : `${step} ${outcome}`)).join(' ')
  /** Everything on this host that a machine of ours would leave. */
  async function left() {
    const { stdout } = await lab.exec('node', ['ip', '-o', 'link', 'show', 'type', 'tun'])
    const processes = readdirSync('/proc').filter((name) => {
      try {
        return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(at('host/machines'))
      } catch {
        // It ended while we looked.
        return false
      }
    })
    const { body } = JSON.parse(readFileSync(at('state/tenures.json'), 'utf8')) as {
      readonly body: readonly { readonly workspace: string; readonly attached: number }[]
    }
    return {
      taps: stdout.trim(),
      processes,
      machines: readdirSync(at('host/machines')).filter((name) => !name.endsWith('.console')),
      layers: readdirSync(at('host/layers')),
      attached: body.filter(({ attached }) => attached === 1).map((one) => one.workspace),
    }
  }

  beforeAll(async () => {
    mtls = new Mtls()
    boot = new BootFolder()
    lab = await openLab()
    await lab.exec('node', ['ip', 'link', 'delete', WS.slot])
    const { certificate, key } = mtls.client([`URI:${COMPANION}`])
    writeFileSync(mtls.path('companion.pem'), certificate)
    writeFileSync(mtls.path('companion.key'), key)
    const tls = `certificate: ${mtls.path('server.pem')}, key: ${mtls.path('server.key')}, client_ca: ${mtls.path('ca.pem')}`
    const more = `attach_required: true\napi: {listen: "${LISTEN}", ${tls}, companions: [${COMPANION}]}\n`
    // With this machine's own mounts: what vaultfs mounts is what the companion shares.
    agent = await RunningAgent.prepare(`/run/netns/${lab.namespace('node')}`, [SLOT], more)
    if (hasVolume) {
      mkdirSync(at('volume/project'), { recursive: true })
      writeFileSync(at('volume/project/given'), 'a file of the node')
      const yaml = readFileSync(at('agent.yaml'), 'utf8')
      agent.write('agent.yaml', yaml.replace(/^backends:.*$/m, 'backends: [nftables, vaultfs]'))
      const entry = `    volumes: [{ name: work, source: ${at('volume')}, mount: ${at('view')} }]\n`
      agent.write('inventory.yaml', `${readFileSync(at('inventory.yaml'), 'utf8')}${entry}`)
      await agent.must('inventory sign inventory.yaml --key keys/inventory.key')
    }
    const storage = 'storage: { volumes: [{ name: work, read_only: [/project] }] }\n'
    await agent.publish(1, [OUT.git], [ID], hasVolume ? { extra: storage } : {})
    agent.start()
    await agent.told('active')
    // QEMU runs as a user of its own, and finds its files here.
    chmodSync(agent.operator.directory, 0o755)
    mkdirSync(at('host'))
    const root = parseTrustRoot(readFileSync(at('root.json')))
    const keys = new Map([...root.keys, [builder.kid, { kid: builder.kid, role: builder.role, key: builder.public }]])
    const thresholds = new Map([...root.thresholds, ['image' as const, 1]])
    agent.write('image-root.json', JSON.stringify(rootDocument({ ...root, keys, thresholds, revoked: [] })))
    const { kernel } = boot.boot({ command: COMMAND, modules: ['virtio_blk', 'virtiofs'] })
    agent.write('golden.raw', `golden${'\0'.repeat((1 << 20) - 6)}`)
    tiny = {
      ...{
        name: 'tiny',
        version: 1,
        profile: 'test',
        builtAtMs: Date.now() - DAY_MS,
        expiresAtMs: Date.now() + DAY_MS,
      },
      kernel: {
        file: published(at('published'), kernel?.file.path ?? ''),
        initrd: published(at('published'), kernel?.initrd?.path ?? ''),
        commandLine: `${kernel?.commandLine} image=1`,
      },
      disk: { file: published(at('published'), at('golden.raw')), format: 'raw' },
    }
    agent.write(
      'companion.yaml',
      `companion: ${COMPANION}
state_directory: host
events_file: host/events.ndjson
agent:
  address: ${LISTEN}
  server_name: localhost
  ca: ${mtls.path('ca.pem')}
  certificate: ${mtls.path('companion.pem')}
  key: ${mtls.path('companion.key')}
  evidence_keys: state/agent.pub.json
machines: {driver: qemu, directory: host/machines, first_user: 63000, grace_seconds: 1}
images: {directory: host/images, trust_root: image-root.json, max_image_age: 7d}
${hasVolume ? `volumes: [{name: work, kind: virtiofs, source: ${at('view')}, read_only: false}]` : ''}
networks:
  - {name: ws0, kind: tap, interface: ${WS.slot}, mac: "${WS.mac}", addresses: ["${WS.v4}"], gateway_mac: "${WS.gatewayMac}", gateways: ["${WS.gateway4}"]}
`,
    )
    const words = [process.execPath, PROGRAM, 'companion', '--config', 'companion.yaml', '--json']
    // Its machines need this machine's cgroups, which `ip netns exec` hides.
    companion = spawn('nsenter', [`--net=/run/netns/${lab.namespace('node')}`, '--', ...words], {
      cwd: agent.operator.directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    createInterface({ input: companion.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      said = `${said}${line}\n`.slice(-6_000)
      if (line.startsWith('{')) heard.push(JSON.parse(line) as (typeof heard)[number])
    })
    await until('the companion to be ready', () => {
      if (companion.exitCode !== null) throw new Error(`the companion ended: ${said}`)
      return heard.some(({ event }) => event === 'ready')
    })
  }, PATIENCE_MS)

  afterAll(async () => {
    // A machine outlives its companion: what a failed test left is ended by it first.
    if (companion?.exitCode === null) {
      await agent.ask('workspace', 'kill', '--everything', '--reason', 'the test is over')
      companion.kill('SIGTERM')
      await until('the companion to end', () => companion.exitCode !== null)
    }
    if (agent && hasVolume) {
      // Volumes outlive their agent.
      await agent.stop()
      await agent.ask('uninstall', '--yes', '--config', 'agent.yaml')
    }
    await agent?.close()
    await lab?.close()
    boot?.close()
    mtls?.remove()
  }, PATIENCE_MS)

  it('boots what was fetched, and reaches what it was granted and nothing else', { timeout: PATIENCE_MS }, async () => {
    const refused = await agent.ask('workspace', 'create', ID, '--user', 'jane', '--image', 'tiny', '--network', 'ws0')
    expect(refused.exit).not.toBe(0)
    expect(JSON.stringify(refused.json)).toContain('there is no list of images')
    expect(await fetched(1n, 1)).toEqual({
      ...{ directory: at('host/images'), channel: 'stable', fetched: ['tiny@1'], boot: ['tiny@1'] },
      profiles: { 'tiny@1': 'test' },
    })
    expect(
      await workspace(
        ...(['create', '--user', 'jane', '--image', 'tiny', '--network', 'ws0', '--memory', '192'] as const),
        ...(hasVolume ? ['--volume', 'work'] : []),
      ),
    ).toMatchObject({ state: 'stopped' })
    // Its image leaves the list before it ever ran: with max_image_age the companion sees to that by itself.
    await fetched(2n, 2)
    await until('a rebake', async () => (await listed()).image === 'tiny@2')
    expect(steps(await workspace('start'))).toBe('released prepare attach policy evidence run')
    expect(await listed()).toMatchObject({ state: 'running', machine: 'running', image: 'tiny@2', lease: 1, owed: [] })
    const uplink = await lab.sniff('node', UPLINK.node.interface)
    const output = await consoleHas(/granted reached/)
    expect(output).toMatch(/up with .*image=2\r?\ndisk before: golden\r?\ndisk after: dirty\./)
    if (hasVolume) expect(output).toContain('volume: a file of the node')
    expect(output).toContain('unlisted refused')
    expect(output).not.toMatch(/unlisted reached|granted refused/)
    const to = (address: string) => uplink.frames.filter(({ bytes }) => bytes.subarray(30, 34).join('.') === address)
    expect(to(OUT.git)).not.toEqual([])
    expect(to(OUT.unlisted)).toEqual([])
    await uplink.close()
  })

  it('is rebaked over a newer image with a fresh layer, behind a new tenure', { timeout: PATIENCE_MS }, async () => {
    const [before] = (await left()).layers
    expect(await fetched(3n, 2, 3)).toMatchObject({ boot: ['tiny@3', 'tiny@2'] })
    expect(steps(await workspace('rebake'))).toBe(
      'halt detach unplug renew sweep released prepare attach policy evidence run',
    )
    expect(await listed()).toMatchObject({ state: 'running', image: 'tiny@3', incarnation: 3, lease: 2 })
    const output = await consoleHas(/granted reached/)
    expect(output).toMatch(/up with .*image=3\r?\ndisk before: golden\r?\n/)
    if (hasVolume) expect(output).toContain('volume: a file of the node')
    const { layers, attached } = await left()
    expect([layers.length, layers.includes(before ?? ''), attached]).toEqual([1, false, [ID]])
  })

  it('is killed behind its fence, and deleted without a trace', { timeout: PATIENCE_MS }, async () => {
    const uplink = await lab.sniff('node', UPLINK.node.interface)
    const sent = () =>
      uplink.frames.filter(
        ({ way, bytes }) => way === 'out' && [...bytes.subarray(26, 30)].join('.') === WS.v4 && bytes[12] === 8,
      )
    await until('the machine to send', () => sent().length > 3)
    const report = await workspace('kill', '--reason', 'a test')
    expect(report.partial).toBe(false)
    const [killed] = report.workspaces
    expect(steps(killed)).toBe('fence end sessions detach unplug')
    await uplink.settle(300, 3_000)
    expect(sent().at(-1)?.atMs ?? 0).toBeLessThanOrEqual(killed.fencedAtMs)
    await uplink.close()
    expect(await left()).toMatchObject({ taps: '', processes: [], machines: [], attached: [] })
    expect((await agent.ask('status')).json.workspaces).toMatchObject([
      { workspace: ID, flags: expect.arrayContaining(['quarantined']) },
    ])
    expect(await listed()).toMatchObject({ state: 'killed', machine: '', owed: [] })
    await workspace('delete')
    expect([(await left()).layers, readdirSync(at('host/machines'))]).toEqual([[], []])
    expect((await sluice('workspace', 'list')).workspaces).toEqual([])
    expect(existsSync(at('host/images/images.jws.json'))).toBe(true)
    expect(heard.flatMap(({ event, change, by }) => (event === 'changed' ? [`${change} ${by}`] : []))).toEqual([
      ...['create user:root', 'rebake companion', 'start user:root', 'rebake user:root', 'kill user:root'],
      'delete user:root',
    ])
    expect(readFileSync(at('host/events.ndjson'), 'utf8')).toContain('tiny@1 is not in the list of images any more')
  })
})
