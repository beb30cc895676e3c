// What stays of a machine that is gone: the end of its console, bounded, until the next machine of its name, and that of the last 64 alone.

import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { MachineSpec } from '../../../src/companion/drivers/driver.js'
import { MachineFolder } from '../../../src/companion/drivers/machine-folder.js'

const specNamed = (id: string): MachineSpec => ({
  ...{
    id,
    workspace: 'spiffe://fleet.example/ws/one',
    boot: { image: 'tiny@1' },
    cpus: 1,
    memoryMiB: 256,
    volumes: [],
  },
  nic: { kind: 'tap', interface: 'tap0', mac: '02:00:00:00:00:02' },
  limits: { cpuPercent: 200, memoryMiB: 512, pids: 64 },
  user: process.getuid?.() ?? 0,
})
let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-folder-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const ended = (id: string, said: string): MachineFolder => {
  const folder = new MachineFolder(root, id)
  folder.make(specNamed(id))
  if (said !== '') folder.keepConsole(Buffer.from(said))
  folder.remove()
  return folder
}
const words = (folder: MachineFolder, most = 1 << 20): string | undefined => {
  const found = folder.lastWords(most)
  return found && Buffer.from(found).toString()
}

it('keeps the last words of a machine that is taken away, for root alone', () => {
  const folder = ended('ws-a-1', 'Kernel panic - not syncing\n')
  expect([folder.exists(), words(folder), words(folder, 8)]).toEqual([
    false,
    'Kernel panic - not syncing\n',
    'syncing\n',
  ])
  expect(MachineFolder.ids(root)).toEqual([])
  expect(statSync(join(root, 'ws-a-1.console')).mode & 0o777).toBe(0o600)
  expect(words(ended('ws-b-1', ''))).toBeUndefined()
})

it('forgets them with the next machine of that name', () => {
  const folder = ended('ws-a-1', 'before')
  folder.make(specNamed('ws-a-1'))
  expect(words(folder)).toBeUndefined()
})

it('forgets those of the machines that it is told', () => {
  const [first, second, other] = ['ws-a-1', 'ws-a-2', 'ws-b-1'].map((id) => ended(id, `said by ${id}`))
  MachineFolder.forgetWords(root, (id) => id === 'ws-a-1' || id === 'ws-nobody-1')
  expect([first, second, other].map((folder) => folder && words(folder))).toEqual([
    undefined,
    'said by ws-a-2',
    'said by ws-b-1',
  ])
  expect(readdirSync(root).sort()).toEqual(['ws-a-2.console', 'ws-b-1.console'])
})

it('keeps 256 KiB of each, and the last 64', () => {
  const long = ended('ws-long-1', `${'x'.repeat(300_000)}end`)
  expect(words(long)).toHaveLength(1 << 18)
  expect(words(long)?.endsWith('end')).toBe(true)
  for (let n = 0; n < 70; n++) {
    ended(`ws-${n}-1`, 'said')
    utimesSync(join(root, `ws-${n}-1.console`), n + 1, n + 1)
  }
  const kept = readdirSync(root)
  expect(kept).toHaveLength(64)
  // The long one is the latest: the others were dated back.
  expect(kept).toContain('ws-long-1.console')
  expect(kept).not.toContain('ws-0-1.console')
  expect(kept).toContain('ws-69-1.console')
})
