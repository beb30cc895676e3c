// A guest of the emulated virtio-fs card: its kernel's requests as octets, through the program that plays them at the shim
// (doca-shims/vault/test/requests.c). One process is one card; a request has one answer.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { repositoryPath } from '../lab/repository.js'

/** Numbers of the FUSE protocol (linux/fuse.h). */
export const FUSE = {
  ...{
    lookup: 1,
    forget: 2,
    getattr: 3,
    setattr: 4,
    readlink: 5,
    symlink: 6,
    mknod: 8,
    mkdir: 9,
    unlink: 10,
    rmdir: 11,
  },
  ...{ rename: 12, link: 13, open: 14, read: 15, write: 16, statfs: 17, release: 18, fsync: 20, setxattr: 21 },
  ...{ getxattr: 22, listxattr: 23, removexattr: 24, flush: 25, init: 26, opendir: 27, readdir: 28, releasedir: 29 },
  ...{ create: 35, destroy: 38, ioctl: 39, fallocate: 43, readdirplus: 44, rename2: 45, lseek: 46, syncfs: 50 },
} as const
export type FuseOp = keyof typeof FUSE
export const ROOT = 1n
export const VUID = 'MT2403X00001VFS0'
export const PCI = '0000:03:00.0'

/** Little-endian numbers, 4 octets each, 8 for a bigint. */
export function words(...values: readonly (number | bigint)[]): Buffer {
  return Buffer.concat(
    values.map((value) => {
      const octets = Buffer.alloc(typeof value === 'bigint' ? 8 : 4)
      if (typeof value === 'bigint') octets.writeBigUInt64LE(value)
      else octets.writeUInt32LE(value)
      return octets
    }),
  )
}
export const names = (...list: readonly string[]): Buffer => Buffer.from(list.map((name) => `${name}\0`).join(''))

export interface Ask {
  readonly arg?: Buffer
  readonly given?: Buffer
  /** What the guest puts in the place of `given` once it was copied. */
  readonly later?: Buffer
  readonly room?: number
  readonly pieces?: number
  readonly uid?: number
  readonly vuid?: string
}
export interface Answered {
  /** DOCA's, 0 for success. */
  readonly status: number
  /** As the guest sees it, without its sign. */
  readonly errno: number
  readonly length: number
  readonly body: Buffer
  readonly opened: Buffer
  readonly data: Buffer
}

/** With the sanitizers; built by make, once. */
export function buildGuest(): string {
  execFileSync('make', ['-s', '-f', 'doca-shims/vault/Makefile', repositoryPath('build/doca/check/vault')], {
    cwd: repositoryPath('.'),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return repositoryPath('build/doca/check/vault')
}

const octets = (hex: string | undefined): Buffer =>
  hex === undefined || hex === '-' ? Buffer.alloc(0) : Buffer.from(hex, 'hex')
const hex = (given: Buffer | undefined): string =>
  given === undefined || given.length === 0 ? '-' : given.toString('hex')

export class Guest {
  private readonly lines: AsyncIterator<string>
  private readonly child: ChildProcess
  private readonly errors: Buffer[] = []

  /** `run`: the program, with what runs it before it. */
  constructor(
    run: readonly string[],
    private readonly directory: string,
  ) {
    const [program = '', ...more] = run
    if (!existsSync(run.at(-1) ?? '')) throw new TypeError(`${run.at(-1)} is not built`)
    this.child = spawn(program, more, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stderr?.on('data', (more: Buffer) => this.errors.push(more))
    if (!this.child.stdout) throw new TypeError('a pipe was asked for')
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
  }

  async say(command: string): Promise<string> {
    this.child.stdin?.write(`${command}\n`)
    return this.line()
  }

  async list(command: string): Promise<readonly string[]> {
    this.child.stdin?.write(`${command}\n`)
    const out: string[] = []
    for (let line = await this.line(); line !== '.'; line = await this.line()) out.push(line)
    return out
  }

  /** Stages a table; what the shim says. */
  stage(table: Uint8Array): Promise<string> {
    const file = join(this.directory, 'table')
    writeFileSync(file, table)
    return this.say(`stage ${file}`)
  }

  async ask(op: FuseOp | number, node: bigint, ask: Ask = {}): Promise<Answered> {
    return answerOf(await this.say(`ask ${this.request(op, node, ask)}`))
  }

  /** Without waiting; `wait` answers in the order in which they were sent. */
  async send(op: FuseOp, node: bigint, ask: Ask = {}): Promise<void> {
    await this.say(`send ${this.request(op, node, ask)}`)
  }

  async wait(): Promise<Answered> {
    return answerOf(await this.say('wait'))
  }

  /** Ends the program; what the sanitizers said, '' when nothing. */
  async end(): Promise<string> {
    const ended = new Promise<number | null>((done) => this.child.once('exit', done))
    this.child.stdin?.end()
    const code = await ended
    return code === 0 ? '' : `ended with ${code}: ${Buffer.concat(this.errors).toString()}`
  }

  private request(op: FuseOp | number, node: bigint, ask: Ask): string {
    const { arg, given, later, room = 0, pieces = 1, uid = 0, vuid = VUID } = ask
    const code = typeof op === 'number' ? op : FUSE[op]
    return `${vuid} ${code} ${node} ${uid} ${hex(arg)} ${hex(given)} ${room} ${pieces} ${hex(later)}`
  }

  private async line(): Promise<string> {
    const { value, done } = await this.lines.next()
    if (done === true) throw new TypeError(`the program ended: ${Buffer.concat(this.errors).toString()}`)
    return value
  }
}

function answerOf(line: string): Answered {
  const [status, errno, length, body, opened, data] = line.split(' ')
  return {
    status: Number(status),
    errno: Math.abs(Number(errno)),
    length: Number(length),
    body: octets(body),
    opened: octets(opened),
    data: octets(data),
  }
}

/** The names in what `readdir` gave. */
export function entriesOf(data: Buffer): string[] {
  const out: string[] = []
  for (let at = 0; at + 24 <= data.length; ) {
    const length = data.readUInt32LE(at + 16)
    out.push(data.toString('utf8', at + 24, at + 24 + length))
    at += Math.ceil((24 + length) / 8) * 8
  }
  return out
}
