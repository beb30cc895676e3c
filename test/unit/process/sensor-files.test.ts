// Which file ran, asked of processes of this machine: by number and device, and content only of what a process still runs.

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { fileThatRan } from '../../../src/backends/exec-sensor/files.js'
import { kernelDevice, mountDevice } from '../../../src/backends/tracing/devices.js'

const CAT = realpathSync('/bin/cat')
const NOBODY = 2 ** 30
const children: ChildProcess[] = []
const folders: string[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
const scratch = (): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-ran-')))
  folders.push(folder)
  return folder
}
const tellOf = (path: string) => {
  const { ino, dev, nlink } = statSync(path, { bigint: true })
  return { inode: ino, device: kernelDevice(dev), links: Number(nlink) }
}
const digestOf = (path: string) => `sha256:${createHash('sha256').update(readFileSync(path)).digest('hex')}`
const all = (): boolean => true

describe('the file that ran', () => {
  it('is that of the process, with its content where that is asked for', async () => {
    const child = spawn(CAT, { stdio: ['pipe', 'pipe', 'ignore'] })
    children.push(child)
    child.stdin.write('begun')
    await once(child.stdout, 'data')
    const { pid = 0 } = child
    expect(fileThatRan(pid, CAT, tellOf(CAT), all)).toEqual({ path: CAT, digest: digestOf(CAT) })
    expect(fileThatRan(pid, CAT, tellOf(CAT), () => false)).toEqual({ path: CAT })
    // It runs something else by now: that says nothing of what it ran before.
    const before = { ...tellOf(CAT), device: tellOf(CAT).device + 1 }
    expect(fileThatRan(pid, '/gone', before, all)).toEqual({ path: '/gone' })
  })
  it('of a process that is over is what it was called by, and nobody knows its content', () => {
    const link = join(scratch(), 'link')
    symlinkSync(CAT, link)
    expect(fileThatRan(NOBODY, link, tellOf(CAT), all)).toEqual({ path: CAT })
  })
  it('is not another of the same number on another device', () => {
    const folder = scratch()
    const [listed, link] = [join(folder, 'listed'), join(folder, 'link')]
    copyFileSync(CAT, listed)
    symlinkSync(listed, link)
    const told = tellOf(listed)
    expect(fileThatRan(NOBODY, link, told, all)).toEqual({ path: listed })
    expect(fileThatRan(NOBODY, link, { ...told, device: told.device + 1 }, all)).toEqual({ path: link })
  })
})

describe('the device of a mount', () => {
  it('is that of its line, and of no other', () => {
    const text = '27 1 254:0 / / rw - ext4 /dev/vda rw\n127 27 0:300 / /a rw - btrfs /dev/vdb rw\n'
    expect([27, 127, 7].map((id) => mountDevice(text, id))).toEqual([254 << 20, 300, undefined])
  })
})
