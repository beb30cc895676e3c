// One question to libvirt, through its own client virsh: words that need no quoting, descriptors by their numbers.
// A daemon that does not answer within its time, or whose answer nobody waits for any more, costs one virsh, which is killed.
//
// Gives what virsh printed; throws VirshProblem with what it said instead.

import { spawn } from 'node:child_process'
import { quote } from '../../base/quote.js'

export const VIRSH = '/usr/bin/virsh'
/** A daemon that works answers at once. */
const ANSWER_MS = 20_000
const MOST_SAID = 1 << 20
/** What virsh takes as one word, whatever it is given to (vshCommandStringParse). */
const WORD = /^[A-Za-z0-9._@+=:/-]+$/

export class VirshProblem extends TypeError {
  override readonly name = 'VirshProblem'
}

export interface Asking {
  /** They are 3, 4 and so on for virsh. */
  readonly descriptors?: readonly number[]
  readonly withinMs?: number
  readonly over?: AbortSignal
}

export type Virsh = (commands: readonly (readonly string[])[], asking?: Asking) => Promise<string>

/** Several commands are one connection; the last one says whether it was done. */
export const virshAt =
  (uri: string, program = VIRSH): Virsh =>
  (commands, { descriptors = [], withinMs = ANSWER_MS, over } = {}) => {
    const odd = commands.flat().find((word) => !WORD.test(word))
    if (odd !== undefined) return Promise.reject(new VirshProblem(`${quote(odd)} needs quoting`))
    const words = commands.map((command) => command.join(' ')).join('; ')
    return new Promise((resolve, reject) => {
      const child = spawn(program, ['--quiet', '--connect', uri, words], {
        stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
        cwd: '/',
      })
      let [said, wrong] = ['', '']
      const what = commands.at(-1)?.[0] ?? ''
      const leave = (why: string) => () => {
        child.kill('SIGKILL')
        reject(new VirshProblem(why))
      }
      const timer = setTimeout(leave(`libvirt does not answer to ${what} within ${withinMs} ms`), withinMs)
      const abandoned = leave(`nobody waits for ${what} any more`)
      if (over?.aborted) abandoned()
      over?.addEventListener('abort', abandoned, { once: true })
      child.stdout?.setEncoding('utf8').on('data', (more: string) => {
        if (said.length < MOST_SAID) said += more
      })
      child.stderr?.setEncoding('utf8').on('data', (more: string) => {
        if (wrong.length < MOST_SAID) wrong += more
      })
      const done = (act: () => void) => {
        clearTimeout(timer)
        over?.removeEventListener('abort', abandoned)
        act()
      }
      child.on('error', (error) => {
        done(() => {
          reject(new VirshProblem(`${program}: ${error.message}`))
        })
      })
      child.on('close', (code) => {
        done(() => {
          const why = wrong
            .replace(/^error: /gm, '')
            .trim()
            .replaceAll('\n', ' ')
          if (code === 0) resolve(said)
          else reject(new VirshProblem(`libvirt refuses ${what}: ${quote(why, 600)}`))
        })
      })
    })
  }
