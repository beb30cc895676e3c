// Golden scripts: each *.txt here is a session of an operator, commands with their output. A new test is a new text file.
//
// Lines that begin with `#` are comments and `$ ` is a command; its output is indented below it, with `[exit N]` when N is
// not 0. `$ sluice ...` runs in this process on a fixed clock and seeded randomness; `$ quietly ...` shows only the exit
// code; `$ clock TIME` sets the clock; anything else runs in a shell. UPDATE_GOLDEN=1 rewrites the files, which a person
// then reads.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/base/bytes.js'
import { sha256 } from '../../../src/base/digest.js'
import { composeHost } from '../../../src/bin/host.js'
import { runCli } from '../../../src/cli/main.js'

const HERE = import.meta.dirname
const UPDATE = process.env.UPDATE_GOLDEN === '1'
const START = Date.UTC(2026, 5, 1)

class Session {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-golden-'))
  private nowMs = START
  private drawn = 0
  private said = ''

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  async run(line: string): Promise<string> {
    this.said = ''
    const loud = line.replace(/^quietly /, '')
    const exit = await this.execute(loud)
    // The scratch directory is the one thing that differs from run to run.
    const output = loud === line ? this.said.replaceAll(this.directory, '/scratch') : ''
    const lines = output.replace(/\n$/, '').split('\n')
    if (exit !== 0) lines.push(`[exit ${exit}]`)
    return lines
      .map((text) => (text === '' ? '\n' : `  ${text}\n`))
      .join('')
      .replace(/^\n+/, '')
  }

  private async execute(line: string): Promise<number> {
    const clock = /^clock (.+)$/.exec(line)
    if (clock) {
      this.nowMs = Date.parse(clock[1] ?? '')
      return Number.isNaN(this.nowMs) ? 64 : 0
    }
    const words = splitWords(line)
    if (words[0] === 'sluice') return runCli(words.slice(1), this.host())
    const shell = spawnSync('sh', ['-c', line], { cwd: this.directory, encoding: 'utf8' })
    this.said = shell.stdout + shell.stderr
    return shell.status ?? 70
  }

  private host() {
    const say = (text: string): void => {
      this.said += text
    }
    return composeHost({
      cwd: this.directory,
      environment: () => undefined,
      write: say,
      writeError: say,
      colour: false,
      nowMs: () => this.nowMs,
      random: (length) => this.draw(length),
      confirm: () => Promise.resolve(false),
      operator: 'user:operator',
    })
  }

  private draw(length: number): Uint8Array {
    const out = new Uint8Array(length)
    for (let at = 0; at < length; at += 32)
      out.set(sha256(utf8(`golden ${this.drawn++}`)).subarray(0, Math.min(32, length - at)), at)
    return out
  }
}

/** Words as a shell would split them: single quotes keep what is between them. */
const splitWords = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '')

async function replay(script: string): Promise<string> {
  const session = new Session()
  open.push(session)
  let out = ''
  let gap = ''
  for (const line of script.split('\n')) {
    if (line.startsWith('#')) {
      out += `${gap}${line}\n`
      gap = ''
    } else if (line.startsWith('$ ')) {
      out += `${gap}${line}\n${await session.run(line.slice(2))}`
      gap = '\n'
    }
  }
  return out
}

const open: Session[] = []
afterEach(() => {
  for (const session of open.splice(0)) session.close()
})

describe('golden scripts', () => {
  const names = readdirSync(HERE).filter((name) => name.endsWith('.txt'))
  it('are there', () => expect(names.length).toBeGreaterThan(5))
  for (const name of names)
    it(name, async () => {
      const path = join(HERE, name)
      const script = readFileSync(path, 'utf8')
      const replayed = await replay(script)
      if (UPDATE) writeFileSync(path, replayed)
      expect(replayed).toBe(UPDATE ? replayed : script)
    })
})
