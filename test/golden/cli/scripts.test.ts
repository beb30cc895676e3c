// Golden scripts: each *.txt here is a session of an operator, commands with their output. A new test is a new text file.
//
// Lines that begin with `#` are comments and `$ ` is a command; its output is indented below it, with `[exit N]` when N is
// not 0. `$ sluice ...` runs in this process on a fixed clock and seeded randomness; `$ quietly ...` shows only the exit
// code; `$ clock TIME` sets the clock; anything else runs in a shell. UPDATE_GOLDEN=1 rewrites the files, which a person
// then reads.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Operator } from '../../support/operator.js'

const HERE = import.meta.dirname
const UPDATE = process.env.UPDATE_GOLDEN === '1'

async function perform(operator: Operator, command: string): Promise<string> {
  const line = command.replace(/^quietly /, '')
  const clock = /^clock (.+)$/.exec(line)
  if (clock) {
    operator.nowMs = Date.parse(clock[1] ?? '')
    return ''
  }
  const said = line.startsWith('sluice ')
    ? await operator.sluice(line.slice(7))
    : line === 'sluice'
      ? await operator.sluice('')
      : operator.shell(line)
  // The scratch directory is the one thing that differs from run to run.
  const output = line === command ? (said.out + said.error).replaceAll(operator.directory, '/scratch') : ''
  const lines = output.replace(/\n$/, '').split('\n')
  if (said.exit !== 0) lines.push(`[exit ${said.exit}]`)
  return lines
    .map((text) => (text === '' ? '\n' : `  ${text}\n`))
    .join('')
    .replace(/^\n+/, '')
}

async function replay(script: string): Promise<string> {
  const operator = new Operator()
  open.push(operator)
  let out = ''
  let gap = ''
  for (const line of script.split('\n')) {
    if (line.startsWith('#')) {
      out += `${gap}${line}\n`
      gap = ''
    } else if (line.startsWith('$ ')) {
      out += `${gap}${line}\n${await perform(operator, line.slice(2))}`
      gap = '\n'
    }
  }
  return out
}

const open: Operator[] = []
afterEach(() => {
  for (const operator of open.splice(0)) operator.close()
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
