// Two processes in network namespaces of their own, joined through the bench's own namespace: a client that stands where a
// workspace does, and a server outside. They stream, at full rate or steadily far below it, or connect, ask, answer and close, one after another. Both end with it.

import { execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const ip = (...args) => execFileSync('ip', args, { encoding: 'utf8' })

const SERVER = `
const net = require('net')
const reply = Buffer.alloc(512)
net.createServer((s) => { s.once('data', (d) => { if (d[0] === 1) s.end(reply); else s.on('data', () => undefined) }); s.on('error', () => undefined) }).listen(443, () => console.log('ready'))
process.stdin.resume().on('end', () => process.exit())`

const CLIENT = `
const net = require('net')
const chunk = Buffer.alloc(256 * 1024)
const at = { host: '45.0.0.1', port: 443 }
const stream = (ms) => new Promise((done, failed) => {
  const s = net.connect(at).on('error', failed)
  const began = performance.now()
  const push = () => {
    for (;;) {
      if (performance.now() - began > ms) { const { bytesWritten } = s; const took = performance.now() - began; s.destroy(); return done(bytesWritten * 8e-6 / took) }
      if (!s.write(chunk)) return s.once('drain', push)
    }
  }
  s.on('connect', push)
})
const steady = (ms) => new Promise((done, failed) => {
  const s = net.connect(at).on('error', failed)
  const piece = chunk.subarray(0, 64 * 1024)
  s.on('connect', () => {
    const began = performance.now()
    const timer = setInterval(() => {
      const took = performance.now() - began
      if (took > ms) { clearInterval(timer); const { bytesWritten } = s; s.end(); s.once('close', () => done(bytesWritten * 8e-6 / took)) }
      else if (!s.writableNeedDrain) s.write(piece)
    }, 1)
  })
})
const crr = (ms) => new Promise((done, failed) => {
  const began = performance.now(); let count = 0
  const next = () => {
    if (performance.now() - began > ms) return done(count / (performance.now() - began) * 1000)
    const s = net.connect(at, () => s.write(Buffer.from([1])))
    s.resume().on('error', failed).on('close', () => { count++; next() })
  }
  next()
})
require('readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const [kind, ms] = line.split(' ')
  try { console.log(await ({ stream, steady, crr })[kind](Number(ms))) } catch (error) { console.log('failed ' + error.message) }
}).on('close', () => process.exit())`

const start = (script) =>
  spawn('unshare', ['-n', process.execPath, '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] })
const inside = (child, ...args) => execFileSync('nsenter', ['-t', String(child.pid), '-n', 'ip', ...args])
const firstLine = (lines) => new Promise((done) => lines.once('line', done))

/** Before: bench0 and bench1 exist here. */
export async function openLink() {
  const client = start(CLIENT)
  const server = start(SERVER)
  const fromServer = createInterface({ input: server.stdout })
  const fromClient = createInterface({ input: client.stdout })
  await firstLine(fromServer)
  ip('link', 'add', 'out0', 'type', 'veth', 'peer', 'name', 'out1')
  ip('link', 'set', 'bench0', 'address', '02:00:00:00:09:01')
  ip('link', 'set', 'bench1', 'address', '02:00:00:00:09:02')
  ip('link', 'set', 'bench1', 'netns', String(client.pid))
  ip('link', 'set', 'out1', 'netns', String(server.pid))
  for (const [name, address] of [
    ['bench0', '10.9.0.1/24'],
    ['out0', '45.0.0.254/24'],
  ]) {
    ip('address', 'add', address, 'dev', name)
    ip('link', 'set', name, 'up')
  }
  for (const [child, name, address, gateway] of [
    [client, 'bench1', '10.9.0.2/24', '10.9.0.1'],
    [server, 'out1', '45.0.0.1/24', '45.0.0.254'],
  ]) {
    inside(child, 'address', 'add', address, 'dev', name)
    inside(child, 'link', 'set', name, 'up')
    inside(child, 'route', 'add', 'default', 'via', gateway)
  }
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
  return {
    /** The process whose namespace the workspace's side is in. */
    client: client.pid,
    /** The process whose namespace the other side is in: out1. */
    server: server.pid,
    async run(kind, ms) {
      client.stdin.write(`${kind} ${ms}\n`)
      const line = await firstLine(fromClient)
      if (line.startsWith('failed')) throw new Error(line)
      return Number(line)
    },
    close() {
      client.stdin.end()
      server.stdin.end()
    },
  }
}
