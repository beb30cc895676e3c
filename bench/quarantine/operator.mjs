// An operator: `operator.mjs PORT FOLDER` makes each call that a line of its input names and prints the moments at which it began and was
// answered, in nanoseconds of CLOCK_MONOTONIC. Its connection stands before the first of them: what is timed is a command. Ends with its input.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { AgentClient } from '../../dist/api/grpc-client.js'

const [port = '', folder = ''] = process.argv.slice(2)
const read = (name) => readFileSync(join(folder, name))
const client = new AgentClient({
  address: `127.0.0.1:${port}`,
  serverName: 'localhost',
  ca: read('ca.pem'),
  certificate: read('client0.pem'),
  key: read('client0.key'),
})
const WORKSPACE = 'spiffe://fleet.example/ws/ws0'
const MOST_TRIES = 100
const TRY_MS = 100
const now = () => Number(process.hrtime.bigint())

// The agent's plan may stand before its API listens.
for (let left = MOST_TRIES; ; left--) {
  try {
    await client.call('Enforcement/GetStatus', {})
    break
  } catch (error) {
    if (left === 0) throw error
    await sleep(TRY_MS)
  }
}

createInterface({ input: process.stdin })
  .on('line', async (name) => {
    const began = now()
    try {
      await client.call(`Enforcement/${name}`, { workspace: WORKSPACE, reason: 'bench' })
      console.log(JSON.stringify({ began, ended: now() }))
    } catch (error) {
      console.log(JSON.stringify({ failed: error.message }))
    }
  })
  .on('close', () => {
    client.close()
    process.exit()
  })
