// Raw frames on the interfaces of the laboratory, through the C program test/support/native/frame.c, which is compiled into
// build/test when it is missing or older than its source. A Sender puts frames on a wire as they are; a Sniffer keeps what
// went by, with the kernel's time of each.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { must } from './command.js'
import { repositoryPath } from './repository.js'

let building: Promise<string> | undefined

/** Path of the frame program, compiled on first use. */
export function frameProgram(): Promise<string> {
  building ??= build()
  return building
}

async function build(): Promise<string> {
  const source = repositoryPath('test/support/native/frame.c')
  const program = repositoryPath('build/test/frame')
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return program
  mkdirSync(repositoryPath('build/test'), { recursive: true })
  const fresh = `${program}.${process.pid}`
  await must(['cc', '-O2', '-Wall', '-Wextra', '-Werror', '-std=c11', '-o', fresh, source])
  renameSync(fresh, program)
  return program
}

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export class Sender {
  private readonly answers: ((line: string) => void)[] = []

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    createInterface({ input: child.stdout }).on('line', (line) => this.answers.shift()?.(line))
    child.on('close', () => {
      for (const answer of this.answers.splice(0)) answer('closed')
    })
    // A closed pipe shows as "closed" answers above.
    child.stdin.on('error', () => undefined)
  }

  static async start(namespace: string, networkInterface: string): Promise<Sender> {
    const program = await frameProgram()
    return new Sender(spawn('ip', ['netns', 'exec', namespace, program, 'send', networkInterface]))
  }

  /** Sends the frames in order; throws when the kernel does not take one. */
  async send(frames: readonly Uint8Array[]): Promise<void> {
    const answers = frames.map((frame) => {
      const answer = new Promise<string>((done) => this.answers.push(done))
      this.child.stdin.write(`${toHex(frame)}\n`)
      return answer
    })
    for (const [i, answer] of (await Promise.all(answers)).entries())
      if (answer !== 'ok') throw new Error(`frame ${i} was not sent: ${answer}`)
  }

  close(): Promise<void> {
    return ended(this.child)
  }
}

export interface SeenFrame {
  /** Kernel's stamp, milliseconds since 1970 with a fraction. */
  readonly atMs: number
  /** `in`: the interface received it. `out`: the namespace sent it. */
  readonly way: 'in' | 'out'
  readonly length: number
  readonly bytes: Uint8Array
}

export class Sniffer {
  readonly frames: SeenFrame[] = []
  private readonly ready: Promise<void>

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    this.ready = new Promise((done, failed) => {
      child.on('close', (status) => failed(new Error(`sniffer ended (${status})`)))
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line === 'ready') done()
        else this.frames.push(parseSeen(line))
      })
    })
    // After `ready` a close is how it is stopped; before, `start` waits for it.
    this.ready.catch(() => undefined)
  }

  static async start(namespace: string, networkInterface: string, snap = 65536): Promise<Sniffer> {
    const program = await frameProgram()
    const argv = ['netns', 'exec', namespace, program, 'sniff', networkInterface, String(snap)]
    const sniffer = new Sniffer(spawn('ip', argv))
    await sniffer.ready
    return sniffer
  }

  /** Waits until no new frame came for `quietMs`; on a wire that is never quiet, for `maxMs`. */
  async settle(quietMs = 60, maxMs = 2000): Promise<void> {
    const deadline = performance.now() + maxMs
    for (let before = -1; before !== this.frames.length && performance.now() < deadline; ) {
      before = this.frames.length
      await new Promise((done) => setTimeout(done, quietMs))
    }
  }

  close(): Promise<void> {
    return ended(this.child)
  }
}

function parseSeen(line: string): SeenFrame {
  const [at = '', way, length, hex = ''] = line.split(' ')
  return {
    // Nanoseconds since 1970 do not fit a double; their milliseconds with three decimals do.
    atMs: Number(BigInt(at) / 1000n) / 1000,
    way: way === 'out' ? 'out' : 'in',
    length: Number(length),
    bytes: Buffer.from(hex, 'hex'),
  }
}

function ended(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((done) => {
    child.once('close', () => done())
    child.stdin.end()
    child.kill('SIGTERM')
  })
}
