// A client of JetStream inside a namespace: `node jetstream.mjs PORT,PORT,... STREAM make` makes the stream, with a copy on each server;
// `... STREAM read FILE` writes every message of it, a line each. A cluster that is finding its leader is asked again.

import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'

const [ports, name, word, file] = process.argv.slice(2)
const servers = ports.split(',').map((port) => `nats://127.0.0.1:${port}`)
const TRIES = 300

const ACTS = {
  make: async (connection) => {
    const manager = await jetstreamManager(connection)
    await manager.streams.add({ name, subjects: ['sluice.>'], num_replicas: servers.length })
  },
  read: async (connection) => {
    const { state } = await (await jetstreamManager(connection)).streams.info(name)
    const lines = []
    if (state.messages > 0) {
      const consumer = await jetstream(connection).consumers.get(name)
      for await (const message of await consumer.consume()) {
        lines.push(message.string())
        if (lines.length === state.messages) break
      }
    }
    writeFileSync(file, lines.map((line) => `${line}\n`).join(''))
  },
}

for (let tries = 1; ; tries++) {
  let connection
  try {
    connection = await connect({ servers, reconnect: false, timeout: 5_000 })
    await ACTS[word](connection)
    break
  } catch (error) {
    if (tries === TRIES) throw error
    await sleep(250)
  } finally {
    await connection?.close()
  }
}
