// The node of bench/dns: `node.mjs BACKEND CLIENT_PID`, in a namespace of its own. It has two equal links to the client: one fenced, with
// the mediator on it, and one plain, with a real resolver on it that the mediator asks, too; and one to a namespace outside that answers
// for every address of the zone. Prints `ready DIRECT MEDIATED`
// (addresses; port 53), then answers each line of its input with the mediator's counters. Ends with its input.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { loadBackend } from '../../dist/backends/registry.js'
import { digestOfText } from '../../dist/base/digest.js'
import { Mediator } from '../../dist/dns/mediator.js'
import { openUpstreams } from '../../dist/dns/upstream/client.js'
import { planDigest, sliceFor } from '../../dist/plan/codec.js'
import { compilePlan } from '../../dist/plan/compile.js'

const [name = 'ebpf', clientPid = '0'] = process.argv.slice(2)
const NAMES = Number(process.env.NAMES ?? 300)
const WORKSPACE = 'spiffe://example.org/workspace/bench/one'
const UPSTREAM = '10.8.0.1'
const GATEWAY = '10.9.0.1'

// From a terminal the interrupt comes to everybody; who started this one ends its input when it is to stop.
process.on('SIGINT', () => undefined)

const ip = (...args) => execFileSync('ip', args)
const inClient = (...args) => execFileSync('nsenter', ['-t', clientPid, '-n', 'ip', ...args])
ip('link', 'set', 'lo', 'up')
for (const [here, there, mac, subnet] of [
  ['fenced0', 'fenced1', '09', '10.9.0'],
  ['plain0', 'plain1', '08', '10.8.0'],
]) {
  ip(
    'link',
    'add',
    here,
    'address',
    `02:00:00:00:${mac}:01`,
    'type',
    'veth',
    'peer',
    'name',
    there,
    'address',
    `02:00:00:00:${mac}:02`,
  )
  ip('link', 'set', there, 'netns', clientPid)
  ip('address', 'add', `${subnet}.1/24`, 'dev', here)
  ip('link', 'set', here, 'up')
  inClient('address', 'add', `${subnet}.2/24`, 'dev', there)
  inClient('link', 'set', there, 'up')
}

inClient('route', 'add', '45.77.0.0/16', 'via', GATEWAY)

// Outside: every address of 45.77.0.0/16 is its own, and TCP 443 is answered.
const LISTENER = `require('net').createServer((socket) => socket.on('error', () => undefined).end()).listen(443, () => console.log('listens'))`
const outside = spawn('unshare', ['-n', process.execPath, '-e', LISTENER], { stdio: ['ignore', 'pipe', 'inherit'] })
process.once('exit', () => outside.kill())
await once(outside.stdout, 'data')
const inOutside = (...args) => execFileSync('nsenter', ['-t', String(outside.pid), '-n', 'ip', ...args])
ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out1')
ip('link', 'set', 'out1', 'netns', String(outside.pid))
ip('address', 'add', '10.7.0.1/24', 'dev', 'out0')
ip('link', 'set', 'out0', 'up')
inOutside('link', 'set', 'lo', 'up')
inOutside('address', 'add', '10.7.0.2/24', 'dev', 'out1')
inOutside('link', 'set', 'out1', 'up')
inOutside('route', 'add', 'default', 'via', '10.7.0.1')
inOutside('route', 'add', 'local', '45.77.0.0/16', 'dev', 'lo')
ip('route', 'add', '45.77.0.0/16', 'via', '10.7.0.2')
writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-dns-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const zone = (i, label, ttl) => `local-data: "${label}${i}.bench.example. ${ttl} A 45.77.${i >> 8}.${i & 255}"`
const numbers = Array.from({ length: NAMES }, (_, i) => i + 1)
writeFileSync(
  join(folder, 'unbound.conf'),
  [
    'server:',
    ...[
      ...['verbosity: 0', 'use-syslog: no', 'chroot: ""', 'username: ""', 'pidfile: ""', 'num-threads: 1'],
      ...[`interface: ${UPSTREAM}`, 'access-control: 0.0.0.0/0 allow', 'module-config: "iterator"'],
      'local-zone: "." static',
      ...numbers.flatMap((i) => [zone(i, 'new', 60), zone(i, 'syn', 60), zone(i, 'zero', 0), zone(i, 'hot', 300)]),
    ].map((line) => `  ${line}`),
  ].join('\n'),
)
const resolver = spawn('/usr/sbin/unbound', ['-d', '-c', join(folder, 'unbound.conf')], { stdio: 'inherit' })
// Whatever ends this process ends the resolver.
process.once('exit', () => resolver.kill())

const entry = {
  workspace: WORKSPACE,
  slot: {
    kind: 'veth',
    interface: 'fenced0',
    mac: '02:00:00:00:09:02',
    addresses: ['10.9.0.2'],
    gateway: { mac: '02:00:00:00:09:01', addresses: [GATEWAY] },
  },
}
const clause = (label, count) => ({
  kind: 'egress',
  id: digestOfText(label),
  name: label,
  origin: { file: 'bench', path: label, line: 1 },
  losses: [],
  protocol: 'tcp',
  to: numbers.slice(0, count).map((i) => ({ kind: 'name', pattern: `${label}${i}.bench.example`, wildcard: false })),
  ports: [{ from: 443, to: 443 }],
})
const implementation = await loadBackend(name)
const driver = await implementation.open({ attachInterfaces: [], stateDirectory: folder })
const capabilities = implementation.capabilities(await driver.probe())
const { plan, notes } = compilePlan({
  source: {
    ...{ bundleId: 'bench', bundleDigest: digestOfText('bench'), policyRevision: '1', epoch: 1, channel: 'stable' },
    ...{ audience: 'bench', inventoryRevision: '1', notBeforeMs: 0, expiresAtMs: 4_102_444_800_000 },
  },
  policies: [
    {
      ...{ name: 'bench', file: 'bench', appliesTo: [WORKSPACE], requireDomain: 'host', onExpiry: 'suspend' },
      ...{ delegate: ['shared-address'], dns: { pins: new Map() } },
      clauses: [clause('new', NAMES), clause('syn', NAMES), clause('zero', 20), clause('hot', 20)],
    },
  ],
  inventory: { audience: 'bench', revision: '1', entries: [entry] },
  capabilities: [capabilities],
  order: [name],
  mediated: true,
  services: new Map([
    [WORKSPACE, ['tcp', 'udp'].map((protocol) => ({ name: 'dns', address: GATEWAY, protocol, port: 53 }))],
  ]),
})
if (!plan) throw new Error(notes.map(({ say }) => say).join('\n'))
const slice = sliceFor(plan, name, 1, planDigest(plan))
await driver.commit(await driver.stage(implementation.lower(slice)))

const standing = { generation: 1, plan, quarantined: new Set(), suspended: new Set() }
const mediator = new Mediator(
  {
    standing: () => standing,
    upstream: openUpstreams([{ transport: 'udp', address: UPSTREAM, port: 53, pins: [] }]),
    kernel: {
      learn: (generation, grants) => driver.learn(generation, grants),
      observe: async () => (await driver.observe()).live?.learned,
    },
    recalled: { held: [], spent: [] },
    keep: () => undefined,
    nowMs: Date.now,
    tickMs: () => performance.now(),
    tell: () => undefined,
    failed: (error) => console.error(error),
  },
  { wildcardNames: 32 },
)
await mediator.start()
console.log(`ready ${UPSTREAM} ${GATEWAY}`)
createInterface({ input: process.stdin })
  .on('line', () => console.log(JSON.stringify(mediator.counters())))
  .on('close', async () => {
    await mediator.stop()
    await driver.uninstall()
    await driver.close()
    process.exit()
  })
