// sluice-load on a clock, against a server that stalls: what should have left and was held back is sent or counts as failed, so that
// no slow answer hides the requests behind it. Needs a build; no root.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { GENERATOR } from '../../src/bench/ground.js'

const execute = promisify(execFile)
const MS = 400
const RATE = 100
const DUE = (MS * RATE) / 1_000

/** What one connection at a time came to. */
async function paced(serve: (socket: Socket) => void): Promise<{ done: number; failed: number }> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    const words = ['rr', '127.0.0.1', port, MS, 1, RATE].map(String)
    const { stdout } = await execute(GENERATOR, words)
    return JSON.parse(stdout) as { done: number; failed: number }
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

describe('requests on a clock', () => {
  it('have failed when a server that never answers held them back', async () => {
    expect(await paced((socket) => socket.resume())).toMatchObject({ done: 0, failed: DUE })
  })

  it('are all accounted for when it answers after the end', async () => {
    const { done, failed } = await paced((socket) => {
      let answers = false
      setTimeout(() => {
        answers = true
        socket.write('a')
      }, MS + 100)
      socket.on('data', (asked) => {
        if (answers) socket.write(asked)
      })
    })
    expect(done + failed).toBe(DUE)
  })
})
