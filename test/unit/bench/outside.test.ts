// The end of a file of bench/: of its process, whoever else has its pipes.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { over } from '../../../src/bench/outside.js'

it('does not wait for one that the process left behind with its pipes', async () => {
  const child = spawn('sh', ['-c', 'sleep 120 & echo $!; read line'])
  const ended = over(child, 100)
  const left = await new Promise<number>((resolve) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(Number(line)))
  })
  try {
    child.stdin.end()
    await ended
    expect(child.exitCode).toBe(1)
    // It lives, and nobody listens to it.
    expect(process.kill(left, 0)).toBe(true)
    expect([child.stdout.destroyed, child.stderr.destroyed]).toEqual([true, true])
  } finally {
    process.kill(left, 'SIGKILL')
  }
}, 60_000)

it('has everything that a process said before it ended', async () => {
  const child = spawn('sh', ['-c', 'head -c 1000000 /dev/zero'])
  let octets = 0
  child.stdout.on('data', (data: Buffer) => {
    octets += data.length
  })
  child.stderr.resume()
  await over(child, 60_000)
  expect(octets).toBe(1_000_000)
}, 120_000)
