// Plays a scene inside the guest: the driver itself, compiled, on the slot `ws0`; a bridge stands for the stack behind it, so that
// what passes comes out at `out0` as it went in at `vm0`, and the other way round. Reads operations as JSON, one a line, and
// answers each with one line. Frames are told apart by their last three octets, which the host has numbered.
// Arguments: the file of operations.

import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { FlowerDriver } from '/opt/sluice/dist/backends/tc-flower/driver.js'
import { lower } from '/opt/sluice/dist/backends/tc-flower/lower.js'

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

const dropped = async () => Object.values((await driver.observe()).drops).reduce((sum, count) => sum + count, 0n)

/** Every frame is seen at the other end or counted as refused; what is neither is waited for, and said. */
async function play(frames) {
  const before = await dropped()
  for (const { seen } of Object.values(sniffers)) seen.clear()
  for (const { from, hex } of frames) {
    const said = await senders[from].send(hex)
    if (said !== 'ok') throw new Error(`the kernel did not take ${hex}: ${said}`)
  }
  const deadline = performance.now() + WAIT_MS
  for (;;) {
    const passed = frames.filter(({ from, hex }) => sniffers[from].seen.has(Number.parseInt(hex.slice(-6), 16)))
    const refused = Number((await dropped()) - before)
    if (passed.length + refused === frames.length || performance.now() > deadline) {
      const changed = passed.filter(
        ({ from, hex }) => sniffers[from].seen.get(Number.parseInt(hex.slice(-6), 16)) !== hex,
      )
      return { passed: passed.map(({ hex }) => hex.slice(-6)), refused, changed: changed.length }
    }
    await new Promise((done) => setTimeout(done, 5))
  }
}

const plain = (value) =>
  JSON.parse(JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? Number(inner) : inner)))

const OPERATIONS = {
  open: ({ flower }) => open(flower),
  live: async ({ slice }) => {
    const begun = performance.now()
    const staged = await driver.stage(lower(slice))
    const loaded = performance.now()
    await driver.commit(staged)
    return { stageMs: loaded - begun, commitMs: performance.now() - loaded }
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
