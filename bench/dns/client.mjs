// The client of bench/dns, where a workspace stands. Each line of its input is one piece of work as JSON, answered by one line: `pairs`
// asks every name of both servers in turn, who is first alternating, and gives both lists of microseconds; `connections` asks one server
// for each name and connects to what it answers at once, and gives how many SYNs were sent again meanwhile. Ends with its input.

import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { decode, encode } from 'dns-packet'

async function open(address) {
  const socket = createSocket('udp4')
  await new Promise((resolve) => socket.connect(53, address, resolve))
  let waiting
  socket.on('message', (message) => waiting?.(message))
  let id = 0
  return {
    /** Microseconds from sending to the answer, and its address; throws what the answer is instead. */
    async ask(name) {
      const octets = encode({ type: 'query', id: ++id & 0xffff, flags: 256, questions: [{ name, type: 'A' }] })
      const began = process.hrtime.bigint()
      const message = await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${address} does not answer for ${name}`)), 5_000)
        waiting = (reply) => {
          clearTimeout(timer)
          resolve(reply)
        }
        socket.send(octets)
      })
      const took = Number(process.hrtime.bigint() - began) / 1_000
      const { answers, rcode, id: back } = decode(message)
      const found = answers?.find(({ type }) => type === 'A')
      if (back !== (id & 0xffff) || !found) throw new Error(`${address}: ${name}: ${rcode}`)
      return { took, to: found.data }
    },
  }
}

const servers = new Map()
const server = async (address) => {
  if (!servers.has(address)) servers.set(address, await open(address))
  return servers.get(address)
}

const WORK = {
  async pairs({ direct, mediated, names }) {
    const [one, two] = [await server(direct), await server(mediated)]
    const out = { direct: [], mediated: [] }
    for (const [i, name] of names.entries()) {
      const order = i % 2 === 0 ? ['direct', 'mediated'] : ['mediated', 'direct']
      for (const which of order) out[which].push((await (which === 'direct' ? one : two).ask(name)).took)
    }
    return out
  },
  async connections({ server: address, names }) {
    const asked = await server(address)
    const before = sentAgain()
    for (const name of names) {
      const socket = connect({ host: (await asked.ask(name)).to, port: 443 })
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
      socket.destroy()
    }
    return { connections: names.length, again: sentAgain() - before }
  },
}

/** SYNs of this namespace that were sent once more (TCPSynRetrans of TcpExt). */
function sentAgain() {
  const [names, values] = readFileSync('/proc/self/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '))
  return Number(values[names.indexOf('TCPSynRetrans')])
}

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const work = JSON.parse(line)
    try {
      console.log(JSON.stringify(await WORK[work.kind](work)))
    } catch (error) {
      console.log(JSON.stringify({ failed: error.message }))
    }
  })
  .on('close', () => process.exit())
console.log('ready')
