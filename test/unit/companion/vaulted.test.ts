// What a machine's volumes are served from, read from the kernel's word about their servers (proc_pid_mountinfo(5)).

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { MachineSpec } from '../../../src/companion/drivers/driver.js'
import { requireVaulted } from '../../../src/companion/drivers/vaulted.js'

const SOURCE = '/srv/volumes/data'
const HOST = '22 1 252:1 / / rw,relatime shared:1 - ext4 /dev/root rw'
const BARE = '500 499 252:1 /srv/volumes/data / rw,nosuid - ext4 /dev/root rw'
const VAULTED = '500 499 0:77 / / rw,nosuid - fuse.vaultfs data rw,user_id=0,allow_other'
const OTHER = '500 499 0:78 / / rw,nosuid - fuse.other vaultfs rw,user_id=0'

let proc: string
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'sluice-vaulted-'))
})
afterEach(() => {
  rmSync(proc, { recursive: true, force: true })
})

const process = (pid: number, source: string, ...mounts: string[]): number => {
  mkdirSync(join(proc, String(pid)))
  const words = ['/usr/lib/qemu/virtiofsd', '--socket-path=/x', '-o', `source=${source}`, '-o', 'cache=none', '']
  writeFileSync(join(proc, String(pid), 'cmdline'), words.join('\0'))
  writeFileSync(join(proc, String(pid), 'mountinfo'), `${mounts.join('\n')}\n`)
  return pid
}
const judge = (...pids: number[]) => {
  const volumes = [{ tag: 'data', kind: 'virtiofs', source: SOURCE, readOnly: false }]
  requireVaulted({ id: 'm1', volumes } as unknown as MachineSpec, pids, proc)
}

it('lets run what is served from a mount of vaultfs, whoever waits beside the server', () => {
  expect(() => judge(process(1, SOURCE, HOST), process(2, SOURCE, VAULTED))).not.toThrow()
  expect(() => judge(process(3, SOURCE, HOST, VAULTED))).not.toThrow()
})

it.each([
  ['the bare folder of the host', SOURCE, [BARE]],
  ['what lies over the mount of vaultfs', SOURCE, [VAULTED, BARE]],
  ['another file system', SOURCE, [OTHER]],
  ['a mount that is not its root', SOURCE, [HOST, VAULTED.replace(' / rw', ' /mnt rw')]],
  ['the volume of another', '/srv/volumes/other', [VAULTED]],
])('refuses %s', (_what, source, mounts) => {
  expect(() => judge(process(1, source, ...mounts))).toThrow(expect.objectContaining({ code: 'MACHINE_VOLUME' }))
})

it('refuses a volume whose server is gone', () => {
  expect(() => judge(1)).toThrow(expect.objectContaining({ code: 'MACHINE_VOLUME' }))
})
