// Resolves and connects at once, again and again, as an impatient client does: the connection is begun in the same turn in which
// the answer arrives. `node race-client.mjs SERVER NAME PORT COUNT`; prints one line of JSON.

import { Resolver } from 'node:dns/promises'
import { connect } from 'node:net'

const [server = '', name = '', port = '443', count = '1'] = process.argv.slice(2)
const resolver = new Resolver({ timeout: 5000, tries: 1 })
resolver.setServers([server])
const failures = []
const addresses = new Set()

const reach = (address) =>
  new Promise((done) => {
    const socket = connect(Number(port), address)
    socket.once('connect', () => {
      socket.resetAndDestroy()
      done(undefined)
    })
    socket.once('error', (error) => done(error.code ?? String(error)))
  })

for (let i = 0; i < Number(count); i++) {
  try {
    const [address = ''] = await resolver.resolve4(name)
    addresses.add(address)
    const failed = await reach(address)
    if (failed !== undefined) failures.push(`${i} ${address}: ${failed}`)
  } catch (error) {
    failures.push(`${i}: ${error.code ?? error}`)
  }
}
process.stdout.write(`${JSON.stringify({ count: Number(count), addresses: addresses.size, failures })}\n`)
