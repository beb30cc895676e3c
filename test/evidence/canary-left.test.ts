// A witness that is killed in the midst of its canary: no child of it lives on, and who comes next takes its namespaces away.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { collectCanaries, ownCanary } from '../../src/agent/canary-left.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'

const PATIENCE_MS = 120_000

async function until(what: string, look: () => boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !look(); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
}

const commandOf = (pid: number): readonly string[] =>
  readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    .split('\0')
    .map((word) => word.replace(/^.*\//, ''))

/** Children of the canary below that process. */
const childrenOf = (parent: number): readonly number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      if (!(pid > 0)) return false
      try {
        const ppid = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1])
        return ppid === parent && commandOf(pid).includes('canary.js')
      } catch {
        // It ended while we looked.
        return false
      }
    })
/** What the canary's program was told to be; undefined of one that ended while we looked. */
function roleOf(pid: number): string | undefined {
  try {
    const words = commandOf(pid)
    return words[words.indexOf('canary.js') + 1]
  } catch {
    return undefined
  }
}
/** A zombie has no program. */
const lives = (pid: number): boolean => existsSync(`/proc/${pid}/exe`)
const namesOf = (pid: number): readonly string[] =>
  readdirSync('/run/netns').filter((name) => name.startsWith(`slc-${pid}-`))

labSuite('a canary whose witness is killed', () => {
  it('leaves nobody, and nothing that the next one does not take away', { timeout: 2 * PATIENCE_MS }, async () => {
    const program = `
      import { runCanary } from '${repositoryPath('dist/agent/canary.js')}'
      await runCanary('nftables', { program: [process.execPath, '${repositoryPath('dist/bin/canary.js')}'], nowMs: Date.now })`
    const witness = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' })
    const pid = witness.pid ?? 0
    const own = `slc-${process.pid}-abcdef-w`
    // Of an earlier life that had the number of this one.
    const earlier = `slc-${process.pid}-ghijkl-w`
    ownCanary('abcdef')
    for (const name of [own, earlier]) execFileSync('ip', ['netns', 'add', name])
    try {
      let children: readonly number[] = []
      await until('its target and its controller', () => {
        children = childrenOf(pid)
        return ['serve', 'hold'].every((role) => children.some((child) => roleOf(child) === role))
      })
      expect(namesOf(pid)).toHaveLength(3)
      const ended = new Promise((resolve) => witness.once('close', resolve))
      witness.kill('SIGKILL')
      await ended
      await until('its children to end', () => !children.some(lives))
      await collectCanaries()
      expect(namesOf(pid)).toEqual([])
      expect(namesOf(process.pid)).toEqual([own])
    } finally {
      witness.kill('SIGKILL')
      for (const name of namesOf(process.pid)) execFileSync('ip', ['netns', 'delete', name])
    }
  })
})
