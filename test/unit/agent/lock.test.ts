// The lock: one holder, told at once; dropped with its holder, also when that is killed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { takeLock, withLock } from '../../../src/agent/lock.js'
import { scratchDirectory } from './fixture.js'

describe('the lock', () => {
  it('has one holder at a time', () => {
    const path = join(scratchDirectory(), 'state', 'apply.lock')
    const release = takeLock(path)
    expect(() => takeLock(path)).toThrow(`another sluice command holds ${path}`)
    release()
    takeLock(path)()
  })

  it('given back twice does not let go of somebody else', () => {
    const path = join(scratchDirectory(), 'apply.lock')
    const release = takeLock(path)
    release()
    const second = takeLock(path)
    release()
    expect(() => takeLock(path)).toThrow(/another sluice command/)
    second()
  })

  it('is waited for, and the wait ends', async () => {
    const path = join(scratchDirectory(), 'apply.lock')
    const release = takeLock(path)
    await expect(withLock(path, 10, () => Promise.resolve(1))).rejects.toMatchObject({
      code: 'AGENT_BUSY',
      reaction: 'retry',
    })
    const waiting = withLock(path, 5_000, () => Promise.resolve('mine'))
    release()
    await expect(waiting).resolves.toBe('mine')
    takeLock(path)()
  })

  it('is dropped when its holder is killed', async () => {
    const path = join(scratchDirectory(), 'apply.lock')
    const holder = spawn('flock', ['--no-fork', '--exclusive', path, 'sh', '-c', 'echo held; exec sleep 60'])
    await once(holder.stdout, 'data')
    expect(() => takeLock(path)).toThrow(/another sluice command/)
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    takeLock(path)()
  })
})
