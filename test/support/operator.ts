// An operator at a node: a scratch directory, a clock that the test moves, seeded randomness, and what was printed. Command
// lines run in this process, through the same composition as the program.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { utf8 } from '../../src/base/bytes.js'
import { sha256 } from '../../src/base/digest.js'
import { composeHost } from '../../src/bin/host.js'
import type { Host } from '../../src/cli/host.js'
import { runCli } from '../../src/cli/main.js'

export interface Said {
  readonly exit: number
  readonly out: string
  readonly error: string
}

export class Operator {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-operator-'))
  nowMs = Date.UTC(2026, 5, 1)
  /** What the operator answers when asked. */
  answer = false
  readonly questions: string[] = []
  private drawn = 0

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** One command line without the program's name, split as a shell would: single quotes keep what is between them. */
  sluice(line: string, change: (host: Host) => Host = (host) => host): Promise<Said> {
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '')
    return this.run(words, change)
  }

  shell(line: string): Said {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { cwd: this.directory, encoding: 'utf8' })
    return { exit: status ?? 70, out: stdout, error: stderr }
  }

  private async run(words: readonly string[], change: (host: Host) => Host): Promise<Said> {
    let [out, error] = ['', '']
    const host = composeHost({
      cwd: this.directory,
      environment: () => undefined,
      write: (text) => {
        out += text
      },
      writeError: (text) => {
        error += text
      },
      colour: false,
      nowMs: () => this.nowMs,
      random: (length) => this.draw(length),
      confirm: (question) => {
        this.questions.push(question)
        return Promise.resolve(this.answer)
      },
      operator: 'user:operator',
      interrupted: () => AbortSignal.abort(),
    })
    const exit = await runCli(words, change(host))
    return { exit, out, error }
  }

  private draw(length: number): Uint8Array {
    const out = new Uint8Array(length)
    for (let at = 0; at < length; at += 32)
      out.set(sha256(utf8(`operator ${this.drawn++}`)).subarray(0, Math.min(32, length - at)), at)
    return out
  }
}
