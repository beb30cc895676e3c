// Plays a scene inside the guest: the driver itself, compiled, on the slot `ws0`; a bridge stands for the stack behind it, so that
// what passes comes out at `out0` as it went in at `vm0`, and the other way round. Reads operations as JSON, one a line, and
// answers each with one line. Frames are told apart by their last three octets, which the host has numbered.
// Arguments: the file of operations.

import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { FlowerDriver } from '/opt/sluice/dist/backends/tc-flower/driver.js'
import { Kernel } from '/opt/sluice/dist/backends/tc-flower/kernel.js'
import { lower } from '/opt/sluice/dist/backends/tc-flower/lower.js'
import { Native } from '/opt/sluice/dist/backends/tc-flower/native.js'
import { chainEnds, lastRule, rulesOf, stationsOf, switchRule } from '/opt/sluice/dist/backends/tc-flower/place.js'

const FRAME = '/opt/frame'
const STATE = '/tmp/state'
const WAIT_MS = 60_000
const ip = (line) => execFileSync('/usr/sbin/ip', line.split(' '), { encoding: 'utf8' })
const tc = (line) => execFileSync('/usr/sbin/tc', line.split(' '), { encoding: 'utf8' })

let nowMs = 1_000_000
let driver

async function open(flower) {
  driver = await FlowerDriver.open({ attachInterfaces: ['ws*'], stateDirectory: STATE, flower }, () => nowMs)
}

/** Nothing but what is played is to be on these wires. */
function cables() {
  for (const scope of ['default', 'all']) writeFileSync(`/proc/sys/net/ipv6/conf/${scope}/disable_ipv6`, '1')
  ip('link add br0 type bridge stp_state 0 mcast_snooping 0')
  for (const [port, far] of [
    ['ws0', 'vm0'],
    ['up0', 'out0'],
  ]) {
    ip(`link add ${port} type veth peer name ${far}`)
    ip(`link set ${port} master br0`)
    for (const name of [port, far]) ip(`link set ${name} arp off up`)
  }
  ip('link set br0 arp off up')
}

class Sniffer {
  constructor(name) {
    this.seen = new Map()
    this.child = spawn(FRAME, ['sniff', name], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.ready = new Promise((done) => {
      createInterface({ input: this.child.stdout }).on('line', (line) => {
        if (line === 'ready') return done()
        const [, way, , hex] = line.split(' ')
        if (way === 'in') this.seen.set(Number.parseInt(hex.slice(-6), 16), hex)
      })
    })
  }
}

class Sender {
  constructor(name) {
    this.waiting = []
    this.child = spawn(FRAME, ['send', name], { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.child.stdout }).on('line', (line) => this.waiting.shift()?.(line))
  }

  send(hex) {
    return new Promise((done) => {
      this.waiting.push(done)
      this.child.stdin.write(`${hex}\n`)
    })
  }
}

const HOOKS = [
  ['ws0', 'ingress'],
  ['ws0', 'egress'],
  ['up0', 'ingress'],
]

/** What the filters themselves have refused since they were put there. */
function dropped() {
  const { native } = shaped()
  return HOOKS.flatMap(([name, hook]) => native.list({ ifindex: native.ifindex(name), hook })).reduce(
    (sum, { cookie, packets }) => (cookie?.kind === 'drop' || cookie?.kind === 'flag' ? sum + packets : sum),
    0n,
  )
}

let standing
const shaped = () => (standing ??= new Kernel(Native.open(), String))

/**
 * The filters of a plan as they are placed for hardware, on slot and uplink, but all of them in software, and without those of the
 * slot's egress, which no redirection of hardware passes through. There is no bridge any more: what gets out was redirected.
 */
async function shape(slice) {
  await driver.uninstall()
  driver = undefined
  for (const port of ['ws0', 'up0']) ip(`link set ${port} nomaster`)
  const kernel = shaped()
  const ports = { slot: kernel.native.ifindex('ws0'), uplink: kernel.native.ifindex('up0'), number: 3 }
  const program = lower(slice)
  const [at] = program.workspaces
  const inSoftware = (rules) => rules.map((rule) => ({ ...rule, place: 'software' }))
  for (const station of stationsOf(ports, at.mac).filter(({ side }) => side !== 'own')) {
    kernel.makeHooks(station.ifindex)
    kernel.put(inSoftware([lastRule(station, ports), ...chainEnds(station, ports, 0, [])]))
    await kernel.load(inSoftware(rulesOf(at, station, ports, 0)))
    kernel.put(inSoftware([switchRule(station, ports, 0, program)]))
  }
}

/** Frames are on their way while generations change; every one of them is judged by one or the other. */
async function change(slices, frames) {
  for (const { seen } of Object.values(sniffers)) seen.clear()
  const sent = frames.map(({ from, hex }) => senders[from].send(hex))
  for (const slice of slices) await driver.commit(await driver.stage(lower(slice)))
  const said = await Promise.all(sent)
  const refusedBySender = said.filter((word) => word !== 'ok').length
  const seen = () => frames.filter(({ from, hex }) => sniffers[from].seen.has(Number.parseInt(hex.slice(-6), 16)))
  // The last frame is one that passes whichever generation is live: it comes after all others of its way.
  const last = frames.at(-1)
  for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; ) {
    if (seen().includes(last)) break
    await new Promise((done) => setTimeout(done, 5))
  }
  return { passed: seen().map(({ hex }) => hex.slice(-6)), refusedBySender }
}

/** Every frame is seen at the other end or counted as refused; what is neither is waited for, and said. */
async function play(frames) {
  // What an earlier switch left to do takes counts away with its filters.
  await driver?.observe()
  const before = dropped()
  for (const { seen } of Object.values(sniffers)) seen.clear()
  for (const { from, hex } of frames) {
    const said = await senders[from].send(hex)
    if (said !== 'ok') throw new Error(`the kernel did not take ${hex}: ${said}`)
  }
  const deadline = performance.now() + WAIT_MS
  for (;;) {
    const passed = frames.filter(({ from, hex }) => sniffers[from].seen.has(Number.parseInt(hex.slice(-6), 16)))
    const refused = Number(dropped() - before)
    if (passed.length + refused === frames.length || performance.now() > deadline) {
      const changed = passed.filter(
        ({ from, hex }) => sniffers[from].seen.get(Number.parseInt(hex.slice(-6), 16)) !== hex,
      )
      return { passed: passed.map(({ hex }) => hex.slice(-6)), refused, changed: changed.length }
    }
    await new Promise((done) => setTimeout(done, 20))
  }
}

const plain = (value) =>
  JSON.parse(JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? Number(inner) : inner)))

/** Waits until somebody has closed the slot, and says how often the watcher called. */
let news = 0
async function closed() {
  const { native } = shaped()
  for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; ) {
    const found = native.list({ ifindex: native.ifindex('ws0'), hook: 'ingress', chain: 0 })
    if (found.some(({ cookie }) => cookie?.kind === 'drop') && news > 0) return { news }
    await new Promise((done) => setTimeout(done, 20))
  }
  throw new Error('nobody closed the slot')
}

const OPERATIONS = {
  watch: () => void driver.watch(() => news++),
  closed,
  open: ({ flower }) => open(flower),
  live: async ({ slice }) => {
    const begun = performance.now()
    const staged = await driver.stage(lower(slice))
    const loaded = performance.now()
    await driver.commit(staged)
    return { stageMs: loaded - begun, commitMs: performance.now() - loaded }
  },
  // A quarantine while a generation is loaded: whether the load was still going on when it was read back.
  flagDuring: async ({ slice, workspace }) => {
    let loading = true
    const staging = driver.stage(lower(slice)).finally(() => {
      loading = false
    })
    await new Promise((done) => setImmediate(done))
    const begun = performance.now()
    await driver.flag(workspace, 'quarantined', true)
    const answer = { loading, flagMs: performance.now() - begun }
    await driver.discard(await staging)
    await driver.flag(workspace, 'quarantined', false)
    return answer
  },
  stage: async ({ slice }) => driver.stage(lower(slice)),
  discard: async () => driver.discard(),
  flag: ({ workspace, flag, on }) => driver.flag(workspace, flag, on),
  learn: ({ generation, grants }) => driver.learn(generation, grants),
  clock: (operation) => {
    nowMs = operation.nowMs
    driver.expire()
  },
  restart: async ({ flower }) => {
    await driver.close()
    await open(flower)
  },
  observe: async () => plain(await driver.observe()),
  inspect: async () => plain(await driver.inspect()),
  probe: async () => driver.probe(),
  frames: ({ frames }) => play(frames),
  change: ({ slices, frames }) => change(slices, frames),
  shape: ({ slice }) => shape(slice),
  uninstall: () => driver.uninstall(),
  ip: ({ line }) => ip(line),
  tc: ({ line }) => tc(line),
}

cables()
const sniffers = { vm0: new Sniffer('out0'), out0: new Sniffer('vm0') }
await Promise.all(Object.values(sniffers).map(({ ready }) => ready))
const senders = { vm0: new Sender('vm0'), out0: new Sender('out0') }
for (const line of readFileSync(process.argv[2], 'utf8').split('\n')) {
  if (line === '') continue
  const operation = JSON.parse(line)
  try {
    const answer = await OPERATIONS[operation.op](operation)
    process.stdout.write(`${JSON.stringify({ ok: answer ?? null })}\n`)
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ failed: error.code ?? 'ERROR', say: error.message })}\n`)
  }
}
process.exit(0)
