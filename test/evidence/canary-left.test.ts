// A witness that is killed in the midst of its canary: no child of it lives on, and who comes next takes its namespaces away.

import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { collectCanaries } from '../../src/agent/canary-left.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'

const PATIENCE_MS = 120_000

async function until(what: string, look: () => boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !look(); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
}

/** Children of the canary below that process. */
const childrenOf = (parent: number): readonly number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      if (!(pid > 0)) return false
      try {
        const ppid = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1])
        return ppid === parent && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('canary.js')
      } catch {
        // It ended while we looked.
        return false
      }
    })
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
    execFileSync('ip', ['netns', 'add', own])
    try {
      await until('two children', () => childrenOf(pid).length > 1)
      const children = childrenOf(pid)
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
      execFileSync('ip', ['netns', 'delete', own])
    }
  })
})
