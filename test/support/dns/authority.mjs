// An authoritative server whose answers change from query to query, over UDP and TCP. A process of its own, so that it can run in a
// namespace: `node authority.mjs ADDRESS PORT`; prints `ready` when it listens, ends when its input ends. The first label of
// a name says how it is answered; a number in it is its parameter: `slow-300.live.example`.

import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { decode, encode } from 'dns-packet'

const AUTHORITATIVE = 1 << 10
const TRUNCATED = 1 << 9
const RCODE = { servfail: 2, nxdomain: 3, refused: 5 }
/** How often each name was asked, by type. */
const asked = new Map()

const a = (name, address, ttl = 0) => ({ type: 'A', name, ttl, data: address })
const soa = (name) => ({
  type: 'SOA',
  name: name.split('.').slice(-2).join('.'),
  ttl: 7,
  data: { mname: 'ns.live.example', rname: 'hostmaster.live.example', minimum: 7 },
})
/** An octet each from a running number: 45.78.0.1, 45.78.0.2, ... */
const turn = (n) => `45.78.${(n >> 8) & 255}.${n & 255}`

/** name, type, how often it was asked before, the label's number -> answers, or undefined for no answer at all. */
const WAYS = {
  rotate: ({ name, n }) => ({ answers: [a(name, turn(n + 1))] }),
  /** As many addresses as the number, other ones every time. */
  spread: ({ name, n, number }) => ({
    answers: Array.from({ length: number }, (_, i) => a(name, turn(n * number + i + 1))),
  }),
  /** Public for whoever checks, private for whoever connects. */
  rebind: ({ name, n }) => ({ answers: [a(name, n % 2 === 0 ? '45.76.10.10' : '10.50.0.10')] }),
  slow: ({ name, number }) => ({ answers: [a(name, '45.76.10.10')], afterMs: number }),
  /** The first queries fail, as many as the number. */
  flaky: ({ name, n, number }) => (n < number ? { rcode: RCODE.servfail } : { answers: [a(name, '45.76.10.10')] }),
  servfail: () => ({ rcode: RCODE.servfail }),
  refused: () => ({ rcode: RCODE.refused }),
  dead: () => undefined,
  truncated: ({ name, tcp }) => (tcp ? { answers: [a(name, '45.76.10.10')] } : { truncated: true }),
  /** Every name below it exists: whatever a client writes into a label arrives here. */
  sink: ({ name }) => ({ answers: [a(name, '45.76.10.20', 1)] }),
}

function answer(octets, tcp, send) {
  let query
  try {
    query = decode(octets)
  } catch {
    return // not a query: a server owes garbage nothing
  }
  const [question] = query.questions ?? []
  if (!question) return
  const name = question.name
  const labels = name.toLowerCase().split('.')
  const [, word = '', digits] = /^([a-z]+)(?:-(\d+))?$/.exec(labels.at(-3) ?? '') ?? []
  const key = `${question.type} ${name.toLowerCase()}`
  const n = asked.get(key) ?? 0
  asked.set(key, n + 1)
  process.stdout.write(`asked ${tcp ? 'tcp' : 'udp'} ${question.type} ${JSON.stringify(name)}\n`)
  const way = Object.hasOwn(WAYS, word) ? WAYS[word] : () => ({ rcode: RCODE.nxdomain })
  const reply = way({ name, n, number: Number(digits ?? 0), tcp })
  if (!reply) return
  const answers = question.type === 'A' ? (reply.answers ?? []) : []
  const authorities = answers.length === 0 ? [soa(name)] : []
  const flags = AUTHORITATIVE | (reply.truncated ? TRUNCATED : 0) | (reply.rcode ?? 0)
  const out = encode({ type: 'response', id: query.id, flags, questions: query.questions, answers, authorities })
  setTimeout(() => send(out), reply.afterMs ?? 0)
}

const [address = '127.0.0.1', port = '53'] = process.argv.slice(2)
const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4')
udp.on('message', (octets, from) => answer(octets, false, (out) => udp.send(out, from.port, from.address)))
const tcp = createServer((socket) => {
  let held = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
      const length = held.readUInt16BE(0)
      answer(held.subarray(2, 2 + length), true, (out) => {
        const prefix = Buffer.alloc(2)
        prefix.writeUInt16BE(out.length)
        if (socket.writable) socket.write(Buffer.concat([prefix, out]))
      })
      held = held.subarray(2 + length)
    }
  })
})
await new Promise((resolve) => udp.bind(Number(port), address, resolve))
await new Promise((resolve) => tcp.listen(Number(port), address, resolve))
process.stdout.write('ready\n')
process.stdin.on('end', () => process.exit(0)).resume()
