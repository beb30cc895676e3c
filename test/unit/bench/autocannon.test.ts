// HTTP as the bench measures it: each response with the time that it took, and what is never answered with the time that it waited.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { percentileOf } from '../../../src/bench/histogram.js'
import { repositoryPath } from '../../support/lab/repository.js'

interface Said {
  readonly done: number
  readonly failed: number
  readonly slices: readonly number[]
  readonly buckets: readonly (readonly [number, number])[]
}

async function asked(answer: RequestListener, ms: number, flows: number): Promise<Said> {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const words = [repositoryPath('scripts/autocannon.mjs'), url, String(ms), String(flows)]
    const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: 60_000 })
    return JSON.parse(stdout) as Said
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
const counted = ({ buckets }: Said): number => buckets.reduce((sum, [, count]) => sum + count, 0)

describe('HTTP by autocannon', () => {
  it('has the time of every response, in nanoseconds', async () => {
    const late: RequestListener = (_, response) => {
      setTimeout(() => response.end('late'), 20)
    }
    const said = await asked(late, 1_000, 2)
    expect(said.failed).toBe(0)
    expect(said.slices.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(said.done)
    expect(counted(said)).toBeGreaterThanOrEqual(Math.max(1, said.done))
    // A timer of 20 ms may be a millisecond early.
    expect(percentileOf(new Map(said.buckets), 50)).toBeGreaterThan(18_000_000)
  })

  it('counts what is never answered as having waited', async () => {
    const said = await asked(() => undefined, 300, 3)
    expect(said).toMatchObject({ done: 0, slices: new Array(10).fill(0) })
    expect(counted(said)).toBe(3)
  })

  it('counts what is answered with an error as failed, and not as quick', async () => {
    const no: RequestListener = (_, response) => {
      response.writeHead(503).end()
    }
    const said = await asked(no, 2_000, 1)
    expect(said.done).toBe(0)
    expect(said.failed).toBeGreaterThan(0)
    expect(counted(said)).toBeLessThanOrEqual(1)
  })
})
