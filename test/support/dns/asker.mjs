// Asks upstreams that this namespace has no way to, then those and one on its own loopback, whose interface is up; says on one line
// of JSON what came of both. Its argument is the list of the addresses. A test runs it where there is no route at all.

import { createSocket } from 'node:dgram'
import { decode, encode } from 'dns-packet'
import { openUpstreams, UPSTREAM_LIMITS } from '../../../dist/dns/upstream/client.js'

const far = JSON.parse(process.argv[2]).map((address) => ({ transport: 'udp', address, port: 53, pins: [] }))
const near = createSocket('udp4')
near.on('message', (octets, from) => {
  const { id, questions } = decode(octets)
  const answers = [{ type: 'A', name: questions[0].name, ttl: 60, data: '45.76.10.10' }]
  near.send(encode({ type: 'response', id, questions, answers }), from.port, from.address)
})
await new Promise((resolve) => near.bind(0, '127.0.0.1', resolve))
const at = { transport: 'udp', address: '127.0.0.1', port: near.address().port, pins: [] }

async function ask(upstreams) {
  const client = openUpstreams(upstreams, { ...UPSTREAM_LIMITS, tryMs: 10_000, totalMs: 30_000, rounds: 1 })
  try {
    const { records } = await client.ask({ name: 'git.lab.example', type: 'A' }, new AbortController().signal)
    return { address: records[0].address, failures: client.status().map(({ failures }) => failures) }
  } catch (error) {
    return { code: error.code, cause: error.cause?.message }
  } finally {
    await client.close()
  }
}

const said = { alone: [], beside: await ask([...far, at]) }
for (const one of far) said.alone.push(await ask([one]))
near.close()
console.log(JSON.stringify(said))
