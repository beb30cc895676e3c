// The children of the canary (agent/canary.ts), each in a namespace that its witness made: the controller that opens a backend
// and is killed, the target that answers, the probe that tries once, and the flow that lives until it is cut. Speaks in
// lines on its standard output; the controller takes JSON lines.

import { execFileSync } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import type { Backend, Driver } from '../backends/backend.js'
import { isRegistered, loadBackend } from '../backends/registry.js'
import { causeChain } from '../base/fault.js'
import { sliceFor } from '../plan/codec.js'
import type { Plan } from '../plan/model.js'

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}
const [role = '', first = '', second = '', third = ''] = process.argv.slice(2)

interface Request {
  readonly op: 'apply' | 'drops'
  readonly plan: Plan
  readonly generation: number
}

async function hold(name: string, stateDirectory: string): Promise<void> {
  if (!isRegistered(name)) throw new TypeError(`no backend ${name}`)
  // Entering the namespace gave this process mounts of its own: what is pinned here is nobody else's.
  if (name === 'ebpf') execFileSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf'])
  const backend = await loadBackend(name)
  const driver = await backend.open({ attachInterfaces: ['slcw*'], stateDirectory })
  say(JSON.stringify({ capabilities: backend.capabilities(await driver.probe()) }))
  for await (const line of createInterface({ input: process.stdin }))
    say(JSON.stringify(await carryOut(backend, driver, JSON.parse(line) as Request)))
}

async function carryOut(
  backend: Backend,
  driver: Driver<unknown>,
  { op, plan, generation }: Request,
): Promise<unknown> {
  try {
    if (op === 'apply') {
      const program = backend.lower(sliceFor(plan, backend.name, generation))
      await driver.commit(await driver.stage(program))
      return {}
    }
    const { drops } = await driver.observe()
    return { drops: Number(Object.values(drops).reduce((sum, count) => sum + count, 0n)) }
  } catch (error) {
    return { failed: causeChain(error).join(': ') }
  }
}

function serve(address: string, port: number): void {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()) // the fence may reset it: that is what it is for
    socket.pipe(socket)
  })
  server.listen(port, address, () => {
    say('ready')
  })
}

function probe(address: string, port: number, waitMs: number): void {
  const socket = connect(port, address)
  const end = (word: string): void => {
    say(word)
    socket.destroy()
    clearTimeout(timer)
  }
  const timer = setTimeout(end, waitMs, 'silent')
  socket.once('connect', () => {
    end('connected')
  })
  socket.once('error', () => {
    end('refused')
  })
}

const BEAT_MS = 20
/** As many beats without an echo as no honest network loses in a namespace. */
const SILENT_BEATS = 25

function flow(address: string, port: number): void {
  const socket = connect(port, address)
  let silent = 0
  let up = false
  const beat = setInterval(() => {
    if (++silent > SILENT_BEATS) cut()
    else socket.write('x')
  }, BEAT_MS)
  const cut = (): void => {
    clearInterval(beat)
    socket.destroy()
    say('cut')
  }
  socket.on('data', () => {
    silent = 0
    if (!up) say('up')
    up = true
  })
  socket.once('error', cut)
}

const ROLES: Readonly<Record<string, () => void | Promise<void>>> = {
  hold: () => hold(first, second),
  serve: () => {
    serve(first, Number(second))
  },
  probe: () => {
    probe(first, Number(second), Number(third))
  },
  flow: () => {
    flow(first, Number(second))
  },
}

// Its witness holds the other end: one that was killed leaves nobody behind. The controller reads what comes before the end.
process.stdin.once('end', () => process.exit())
if (role !== 'hold') process.stdin.resume()
try {
  await ROLES[role]?.()
} catch (error) {
  say(JSON.stringify({ failed: causeChain(error).join(': ') }))
  process.exitCode = 70
}
