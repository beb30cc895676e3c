// The part of the demo with a machine: Debian's kernel in QEMU, emulated where KVM is not, brought up by `sluice companion` behind the
// fence of an agent. It writes to its disk and reaches what it was granted; a rebake gives it a fresh layer over a newer image; a bundle
// drops its grant; a signed event of the identity provider takes its authority away. What counts is what the machine itself says on its
// console.
//
// Takes the slot of the laboratory's workspace for its tap, so it comes last.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Image } from '../../src/bundle/images.js'
import { generateKey, signerOf } from '../../src/bundle/key-file.js'
import { parseTrustRoot, rootDocument } from '../../src/bundle/root.js'
import { probeQemu } from '../../src/companion/drivers/qemu-probe.js'
import { listOf, published, publishList } from '../../test/support/companion/images.js'
import { BootFolder } from '../../test/support/companion/machine.js'
import { guestKernel } from '../../test/support/guest/kernel.js'
import { OUT, UPLINK, WS } from '../../test/support/lab/addresses.js'
import type { Lab } from '../../test/support/lab/lab.js'
import { Mtls } from '../../test/support/mtls.js'
import { IdentityProvider, USER } from './identity.js'
import { type Document, Product, textAt } from './product.js'
import { progress, type Row } from './report.js'
import { AUDIENCE, CHANNEL, WORKSPACE } from './workshop.js'

const COMPANION = 'spiffe://demo.example/companion/h1'
const LISTEN = `${UPLINK.node.v4}:7443`
const PATIENCE_MS = 180_000
const HOUR_MS = 3_600_000
/** What its initramfs is made with. */
const NEEDED = ['busybox', 'cpio', 'modinfo'] as const
const FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'] as const
const COMMAND = `
ip link set eth0 up; ip address add ${WS.v4}/30 dev eth0; ip route add default via ${WS.gateway4}
first() { dd if=/dev/vda bs=6 count=1 2>/dev/null; }
echo "disk: $(first)"; printf edited | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null; echo "disk: $(first)"
try() { if timeout 5 wget -q -O /dev/null http://$2/; then echo "$1: reached"; else echo "$1: refused"; fi; }
while :; do try unlisted ${OUT.unlisted}; try git ${OUT.git}; sleep 1; done`

/** Why no machine can be had here; undefined when one can. The kernel is fetched where it is not there yet. */
export async function noMachine(): Promise<string | undefined> {
  const { usable, why } = await probeQemu()
  if (!usable) return why
  const missing = NEEDED.filter((name) => !FOLDERS.some((folder) => existsSync(join(folder, name))))
  if (missing.length > 0) return `${missing.join(' and ')} not found`
  try {
    guestKernel()
    return undefined
  } catch (error) {
    return `there is no kernel for it: ${error instanceof Error ? error.message.trim().split('\n')[0] : String(error)}`
  }
}

/** Needs the enforcement node without a fence; leaves it so, and its workspace's slot gone. */
export async function machine(lab: Lab): Promise<Row[]> {
  const [boot, mtls] = [new BootFolder(), new Mtls()]
  const idp = await IdentityProvider.open(lab.namespace('node'), boot.directory)
  const scene = new MachineScene(lab.namespace('node'), boot, mtls, idp)
  // A machine outlives whoever started it: when a signal ends the demo nothing else would end it.
  const clear = (): void => {
    endProcessesIn(boot.directory)
    boot.close()
    mtls.remove()
  }
  process.once('exit', clear)
  await lab.exec('node', ['ip', 'link', 'delete', WS.slot])
  try {
    await scene.prepare()
    const agent = await scene.product.begin('active', 'agent', '--config', 'agent.yaml', '--json')
    try {
      const companion = await scene.host.begin('ready', 'companion', '--config', 'companion.yaml', '--json')
      try {
        return await scene.play()
      } finally {
        await scene.product.try('workspace', 'kill', '--everything', '--reason', 'the demo is over')
        await companion.stop()
      }
    } finally {
      await agent.stop()
      await scene.product.run('uninstall', '--yes', '--config', 'agent.yaml')
    }
  } finally {
    process.off('exit', clear)
    await idp.close()
    clear()
  }
}

function endProcessesIn(directory: string): void {
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(directory)) process.kill(Number(name), 'SIGKILL')
    } catch {
      // It ended while we looked.
    }
  }
}

class MachineScene {
  readonly product: Product
  /** For the companion: its machines need this machine's cgroups. */
  readonly host: Product
  private readonly builder = generateKey({ role: 'image', kid: 'image-1' }, (length) => randomBytes(length))
  private readonly rows: Row[] = []

  constructor(
    namespace: string,
    private readonly boot: BootFolder,
    private readonly mtls: Mtls,
    private readonly idp: IdentityProvider,
  ) {
    this.product = new Product(namespace, boot.directory)
    this.host = new Product(`/run/netns/${namespace}`, boot.directory)
  }

  async prepare(): Promise<void> {
    const { product, mtls, builder } = this
    await product.run('init', '.', '--interface', WS.slot)
    const { certificate, key } = mtls.client([`URI:${COMPANION}`])
    writeFileSync(mtls.path('companion.pem'), certificate)
    writeFileSync(mtls.path('companion.key'), key)
    const tls = `certificate: ${mtls.path('server.pem')}, key: ${mtls.path('server.key')}, client_ca: ${mtls.path('ca.pem')}`
    const text = readFileSync(this.at('agent.yaml'), 'utf8')
      .replace(/^audience:.*$/m, `audience: ${AUDIENCE}`)
      .replace(/^channel:.*$/m, `channel: ${CHANNEL}`)
      .replace(/^backends:.*$/m, 'backends: [nftables]')
    writeFileSync(
      this.at('agent.yaml'),
      `${text}source: {from: pub, inventory: inventory.yaml, interval_seconds: 1}\nattach_required: true\napi: {listen: "${LISTEN}", ${tls}, companions: [${COMPANION}]}\n`,
    )
    writeFileSync(this.at('inventory.yaml'), INVENTORY)
    await product.run('inventory', 'sign', 'inventory.yaml', '--key', 'keys/inventory.key')
    await this.publish(1, OUT.git)
    const root = parseTrustRoot(readFileSync(this.at('root.json')))
    const keys = new Map([...root.keys, [builder.kid, { kid: builder.kid, role: builder.role, key: builder.public }]])
    const thresholds = new Map([...root.thresholds, ['image' as const, 1]])
    writeFileSync(this.at('images.json'), JSON.stringify(rootDocument({ ...root, keys, thresholds, revoked: [] })))
    writeFileSync(this.at('companion.yaml'), companionYaml(mtls) + this.idp.section)
    mkdirSync(this.at('host'))
  }

  async play(): Promise<Row[]> {
    await this.fetch(1)
    await this.ask('create', 'its image is verified', 'stopped', [
      '--user',
      USER,
      '--image',
      'desk',
      '--network',
      'ws0',
      '--memory',
      '192',
    ])
    await this.ask('start', 'its fence is proved before it runs', 'running')
    await this.says('git, granted', /git: (reached|refused)/, 'reached')
    await this.says('an address that nothing grants', /unlisted: (reached|refused)/, 'refused')
    await this.says('what it wrote to its disk', /disk: \w+\s+disk: (\w+)/, 'edited')
    await this.fetch(2)
    await this.ask('rebake', 'a newer image, a fresh layer', 'running')
    await this.says('its disk after the rebake', /disk: (\w+)/, 'golden')
    await this.says('git, granted', /git: (reached|refused)/, 'reached')
    await this.publish(2, OUT.registry)
    await this.says(
      'git, when a bundle has dropped the grant',
      /git: refused(?:(?!git: reached)[\s\S])*git: (refused)/,
      'refused',
    )
    await this.revoke()
    await this.ask('delete', 'nothing is left', 'absent')
    const left = [...readdirSync(this.at('host/machines')), ...readdirSync(this.at('host/layers'))]
    this.row('machines and layers afterwards', 'none', left.length === 0 ? 'none' : left.join(' '), '')
    return this.rows
  }

  /** By an event that somebody forged, and by one that the identity provider signed. */
  private async revoke(): Promise<void> {
    progress('machine: its user has no session any more')
    const forged = await this.idp.forge()
    const { err = '' } = forged.body === '' ? {} : (JSON.parse(forged.body) as { err?: string })
    const stood = await this.flags()
    const kept = forged.status === 400 && stood === '' ? 'refused' : `${forged.status}, the workspace is ${stood}`
    this.row('session-revoked of jane, forged', 'refused', kept, err)
    const { status, ms } = await this.idp.revoke()
    // Not waited for: the answer said that it is done.
    const flags = await this.flags()
    this.row(
      'session-revoked of jane, signed by the identity provider',
      '202, quarantined',
      `${status}, ${flags}`,
      'session-revoked, CAEP 1.0',
    )
    progress(`machine: fenced when the event was answered, after ${ms.toFixed(0)} ms`)
    const state = await this.becomes('revoked')
    this.row('its machine, which nobody else ended', 'revoked', state, 'fence, sessions, machine')
    const refusals = { start: 'WORKSPACE_QUARANTINED', rebake: 'WORKSPACE_TAKEN_AWAY' }
    for (const [word, code] of Object.entries(refusals)) {
      const again = await this.product.try('workspace', word, WORKSPACE)
      this.row(`sluice workspace ${word} after that`, 'refused', again.exit === 0 ? 'done' : 'refused', code)
    }
  }

  /** Of the workspace, as the agent has them. */
  private async flags(): Promise<string> {
    const { workspaces } = (await this.product.run('status')).json as {
      workspaces: readonly { flags: readonly string[] }[]
    }
    return workspaces.flatMap((one) => one.flags).join(' ')
  }

  /** Its state, when it is that one or the time is over. */
  private async becomes(wanted: string): Promise<string> {
    for (const endMs = performance.now() + PATIENCE_MS; ; await sleep(500)) {
      const { workspaces } = (await this.product.run('workspace', 'list')).json as { workspaces: readonly Document[] }
      const [listed = {}] = workspaces
      const state = textAt(listed, 'state')
      if ((state === wanted && textAt(listed, 'doing') === '') || performance.now() > endMs) return state
    }
  }

  private at(...parts: readonly string[]): string {
    return join(this.boot.directory, ...parts)
  }

  private row(probe: string, expected: string, observed: string, clause: string): void {
    this.rows.push({ group: 'a machine', probe, expected, observed, clause, ok: observed === expected })
  }

  private async ask(word: string, clause: string, expected: string, more: readonly string[] = []): Promise<void> {
    progress(`machine: ${word}`)
    const { json } = await this.product.run('workspace', word, WORKSPACE, ...more)
    this.row(`sluice workspace ${word}`, expected, textAt(json, 'state'), clause)
  }

  /** What the console says first of it: the group of the pattern. */
  private async says(probe: string, pattern: RegExp, expected: string): Promise<void> {
    for (const endMs = performance.now() + PATIENCE_MS; ; await sleep(500)) {
      const { json } = await this.product.run('workspace', 'console', WORKSPACE)
      const output = textAt(json, 'output')
      const said = pattern.exec(output)?.[1]
      if (said !== undefined) return this.row(probe, expected, said, 'said on its console')
      if (performance.now() > endMs)
        throw new Error(`the machine did not say ${String(pattern)}: ${output.slice(-2_000)}`)
    }
  }

  /** Publishes a list with that version of the image, as a builder would, and takes it. */
  private async fetch(version: number): Promise<void> {
    const { kernel } = this.boot.boot({ command: COMMAND, modules: ['virtio_blk'] })
    const folder = this.at('published')
    writeFileSync(this.at('golden.raw'), `golden${'\0'.repeat((1 << 20) - 6)}`)
    const image: Image = {
      ...{ name: 'desk', version, profile: 'demo', builtAtMs: Date.now() - HOUR_MS, expiresAtMs: Date.now() + HOUR_MS },
      kernel: {
        file: published(folder, kernel?.file.path ?? ''),
        initrd: published(folder, kernel?.initrd?.path ?? ''),
        commandLine: kernel?.commandLine ?? '',
      },
      disk: { file: published(folder, this.at('golden.raw')), format: 'raw' },
    }
    await publishList(folder, listOf(Date.now(), [image], { revision: BigInt(version) }), signerOf(this.builder))
    await this.product.run('image', 'fetch', 'published')
  }

  private async publish(revision: number, address: string): Promise<void> {
    mkdirSync(this.at('next'), { recursive: true })
    writeFileSync(this.at('next/fence.yaml'), policy(address))
    const expires = new Date(Date.now() + HOUR_MS).toISOString()
    await this.product.run(
      ...['bundle', 'sign', 'next', '--author', 'keys/author.key', '--release', 'keys/release.key', '--id', 'machine'],
      ...['--revision', String(revision), '--audience', AUDIENCE, '--channel', CHANNEL, '--expires', expires],
    )
    await this.product.run('bundle', 'push', 'next', '--to', 'pub', '--channel', CHANNEL)
  }
}

const INVENTORY = `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: ${AUDIENCE}
revision: 2
workspaces:
  - id: ${WORKSPACE}
    slot: { kind: tap, interface: ${WS.slot} }
    mac: "${WS.mac}"
    addresses: ["${WS.v4}"]
    gateway: { mac: "${WS.gatewayMac}", addresses: ["${WS.gateway4}"] }
`

const policy = (address: string): string => `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: { name: machine }
applies_to: { workspaces: [${WORKSPACE}] }
egress:
  - { name: granted, cidrs: ["${address}/32"], protocol: tcp, ports: [80] }
`

const companionYaml = (mtls: Mtls): string => `companion: ${COMPANION}
state_directory: host
events_file: host/events.ndjson
agent:
  address: ${LISTEN}
  server_name: localhost
  ca: ${mtls.path('ca.pem')}
  certificate: ${mtls.path('companion.pem')}
  key: ${mtls.path('companion.key')}
  evidence_keys: state/agent.pub.json
machines: {driver: qemu, directory: host/machines, first_user: 63000, grace_seconds: 2}
images: {directory: host/images, trust_root: images.json}
networks:
  - {name: ws0, kind: tap, interface: ${WS.slot}, mac: "${WS.mac}", addresses: ["${WS.v4}"], gateway_mac: "${WS.gatewayMac}", gateways: ["${WS.gateway4}"]}
`
