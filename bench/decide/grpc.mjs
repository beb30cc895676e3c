// The same questions over gRPC with mutual TLS: a running agent of ours with the bundle live, and the other engines behind the very
// same server, methods and codecs, each in a process of its own; 32 calls under way for the rate, one for the times. Ours reads the
// question as JSON, the plan on record and the flags of the workspace for every call, and notes refusals in its trail; the others
// only decide. Needs a build.

import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { AgentClient } from '../../dist/api/grpc-client.js'
import { apiFor, certificates, portOf } from '../agent/api.mjs'
import { Node } from '../agent/node.mjs'
import { ENGINES, hostsOf, members, questionsOf, WORKSPACE } from './engines.mjs'

/** Each may ask 500 times a second (api/buckets.ts), so that several are needed to find out how often all of them may. */
const CALLERS = 16
const COUNTS = [1, 100, 1_000]
const ROUNDS = 3
const CALLS = 400
const ROUND_MS = 700
const UNDER_WAY = 32

/** One of the others, behind our server. */
async function peer(engine, count, at) {
  const child = spawn(process.execPath, [new URL('./peer.mjs', import.meta.url).pathname, engine, count, at('')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return { port: Number(line), close: () => child.stdin.end() }
}

const once = (source, event) => new Promise((resolve) => source.once(event, (...given) => resolve(given)))

/** A node whose agent has these policies live; its gRPC is on loopback of the namespace that this process is in as well. */
async function agent(count, at) {
  const node = await Node.open('memory', apiFor(at), members(hostsOf(count), true))
  return { port: portOf(node), close: () => node.close() }
}

const messageOf = ({ executable, method, host, port, path }, audience) => ({
  workspace: WORKSPACE,
  question: Buffer.from(
    JSON.stringify({
      agent_runtime: { executable },
      action: { method, resource: `https://${host}:${port}${path}` },
    }),
  ),
  audience,
  nonce: audience === '' ? new Uint8Array(0) : new Uint8Array(16),
})

const sorted = (values) => [...values].sort((a, b) => a - b)
const at = (values, share) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))]
const median = (values) => at(values, 0.5)

async function rate(ask, messages) {
  let done = 0
  const began = performance.now()
  const worker = async (from) => {
    for (let n = from; performance.now() - began < ROUND_MS; n++) {
      await ask(messages[n % messages.length])
      done++
    }
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, (_, n) => worker(n)))
  return done / ((performance.now() - began) / 1_000)
}

async function times(ask, messages) {
  const took = []
  const until = performance.now() + ROUND_MS
  for (let n = 0; n < CALLS && performance.now() < until; n++) {
    const began = performance.now()
    await ask(messages[n % messages.length])
    took.push((performance.now() - began) * 1_000)
  }
  return took
}

async function measureOne(count, certs) {
  const servers = {
    sluice: await agent(count, certs.path),
    cedar: await peer('cedar', count, certs.path),
    casbin: await peer('casbin', count, certs.path),
  }
  const read = (name) => readFileSync(certs.path(name))
  const clients = Object.fromEntries(
    Object.entries(servers).map(([name, { port }]) => {
      const terms = { address: `127.0.0.1:${port}`, serverName: 'localhost', ca: read('ca.pem') }
      const client = (_, n) =>
        new AgentClient({ ...terms, certificate: read(`client${n}.pem`), key: read(`client${n}.key`) })
      return [name, Array.from({ length: CALLERS }, client)]
    }),
  )
  try {
    const questions = questionsOf(hostsOf(count))
    const expected = await ENGINES.sluice(hostsOf(count))
    const kinds = {
      sluice: { client: clients.sluice, audience: '' },
      'sluice, signed': { client: clients.sluice, audience: 'fleet.example/bench' },
      cedar: { client: clients.cedar, audience: '' },
      casbin: { client: clients.casbin, audience: '' },
    }
    const asks = {}
    for (const [name, { client, audience }] of Object.entries(kinds)) {
      const messages = questions.map((question) => messageOf(question, audience))
      let turn = 0
      const ask = (message) => client[turn++ % CALLERS].call('Decision/CheckAction', message)
      for (const [i, message] of messages.entries()) {
        const { allowed } = await ask(message)
        if (allowed !== expected(questions[i])) throw new Error(`${name} disagrees: ${JSON.stringify(questions[i])}`)
      }
      asks[name] = { ask, messages, rates: [], took: [] }
    }
    const names = Object.keys(asks)
    for (let round = 0; round < ROUNDS; round++)
      for (let n = 0; n < names.length; n++) {
        const one = asks[names[(n + round) % names.length]]
        one.rates.push(await rate(one.ask, one.messages))
        one.took.push(...(await times(one.ask, one.messages)))
      }
    return names.map((name) => ({
      policies: count,
      engine: name,
      decisionsPerSecond: Math.round(median(asks[name].rates)),
      p50Us: Math.round(at(asks[name].took, 0.5)),
      p99Us: Math.round(at(asks[name].took, 0.99)),
      ...(name.startsWith('sluice')
        ? {}
        : { ratio: Math.round(median(asks[name].rates.map((other, i) => asks.sluice.rates[i] / other)) * 100) / 100 }),
    }))
  } finally {
    for (const client of Object.values(clients).flat()) client.close()
    for (const server of Object.values(servers)) await server.close()
  }
}

export async function measureGrpc() {
  const certs = certificates(CALLERS)
  try {
    const rows = []
    for (const count of COUNTS) rows.push(...(await measureOne(count, certs)))
    return rows
  } finally {
    certs.remove()
  }
}
