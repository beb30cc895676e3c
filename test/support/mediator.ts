// A mediator on loopback over the memory backend: a plan made by the real compiler, an upstream that says what the test wrote
// down, a clock that only the test moves, and a client that is dns-packet over a socket.

import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet'
import { MemoryDriver } from '../../src/backends/memory/driver.js'
import { digestOf } from '../../src/base/digest.js'
import type { Standing } from '../../src/dns/admit.js'
import type { Told } from '../../src/dns/events.js'
import { Mediator, type MediatorPorts } from '../../src/dns/mediator.js'
import type { Recalled } from '../../src/dns/memory.js'
import type { Answer, AnswerRecord, Question, Upstream } from '../../src/dns/model.js'
import { encodePlan, sliceFor } from '../../src/plan/codec.js'
import { compilePlan } from '../../src/plan/compile.js'
import type { InventoryEntry } from '../../src/plan/inventory.js'
import type { FenceService, LearnedGrant, Plan } from '../../src/plan/model.js'
import type { Clause, Policy } from '../../src/policy/model.js'
import { ENTRY, MEMORY, policy, SOURCE } from './plans.js'

export const NOW = 1_900_000_000_000

/** The workspace of `plans.ts` with its client and its resolver on loopback; port 0 is any that is free. */
export const LOOP: InventoryEntry = {
  ...ENTRY,
  slot: {
    ...ENTRY.slot,
    addresses: ['127.0.0.1', '::1'],
    gateway: { mac: ENTRY.slot.gateway.mac, addresses: ['127.0.0.1'] },
  },
}

const service = (address: string): FenceService[] =>
  (['tcp', 'udp'] as const).map((protocol) => ({ name: 'dns', address, protocol, port: 0 }))

/** A mediated plan; throws when the clauses do not compile. */
export function mediatedPlan(
  clauses: readonly Clause[],
  more: Partial<Policy> = {},
  entries: readonly InventoryEntry[] = [LOOP],
): Plan {
  const { plan, notes } = compilePlan({
    source: SOURCE,
    policies: [policy(clauses, { appliesTo: entries.map((entry) => entry.workspace), ...more })],
    inventory: { audience: 'test', revision: '1', entries },
    capabilities: [{ ...MEMORY, names: true }],
    order: ['memory'],
    mediated: true,
    services: new Map(entries.map(({ workspace, slot }) => [workspace, slot.gateway.addresses.flatMap(service)])),
  })
  if (!plan) throw new Error(notes.map((note) => note.say).join('\n'))
  return plan
}

export const standingOf = (plan: Plan, generation = 1, more: Partial<Standing> = {}): Standing => ({
  generation,
  plan,
  quarantined: new Set(),
  suspended: new Set(),
  ...more,
})

export const a = (owner: string, address: string, ttlSeconds = 60): AnswerRecord => ({
  owner,
  type: address.includes(':') ? 'AAAA' : 'A',
  ttlSeconds,
  address,
})
export const cname = (owner: string, target: string, ttlSeconds = 60): AnswerRecord => ({
  owner,
  type: 'CNAME',
  ttlSeconds,
  target,
})
export const answer = (records: readonly AnswerRecord[], more: Partial<Answer> = {}): Answer => ({
  outcome: 'answer',
  records,
  negativeTtlSeconds: 0,
  validated: false,
  from: 'udp://45.76.9.1',
  ...more,
})

/** What the test wrote down under `A name`; anything else does not exist. */
export class Script implements Upstream {
  readonly asked: string[] = []
  readonly says = new Map<string, Answer | ((question: Question, signal: AbortSignal) => Promise<Answer>)>()
  closed = false

  say(name: string, records: readonly AnswerRecord[], more: Partial<Answer> = {}): void {
    for (const type of ['A', 'AAAA'])
      this.says.set(
        `${type} ${name}`,
        answer(
          records.filter((one) => one.type === type || one.type === 'CNAME'),
          more,
        ),
      )
  }

  ask(question: Question, signal: AbortSignal): Promise<Answer> {
    this.asked.push(`${question.type} ${question.name}`)
    const said = this.says.get(`${question.type} ${question.name}`)
    if (typeof said === 'function') return said(question, signal)
    return Promise.resolve(said ?? answer([], { outcome: 'no-such-name' }))
  }

  close(): Promise<void> {
    this.closed = true
    return Promise.resolve()
  }
}

/** What is on record and in the kernel, as the agent would hold it. */
export class Bench {
  nowMs = NOW
  readonly driver = new MemoryDriver()
  readonly upstream = new Script()
  readonly told: Told[] = []
  readonly failures: unknown[] = []
  kept: Omit<Recalled, 'lost'> = { held: [], spent: [] }
  standing: Standing | undefined
  /** Called before a grant is written. */
  beforeLearn: (grants: readonly LearnedGrant[]) => Promise<void> = () => Promise.resolve()

  constructor(readonly wildcardNames = 4) {}

  async apply(plan: Plan, generation = (this.standing?.generation ?? 0) + 1): Promise<void> {
    const staged = await this.driver.stage(sliceFor(plan, 'memory', generation, digestOf(encodePlan(plan))))
    await this.driver.commit(staged)
    this.standing = standingOf(plan, generation)
  }

  ports(recalled: Recalled = this.kept): MediatorPorts {
    return {
      standing: () => this.standing,
      upstream: this.upstream,
      kernel: {
        learn: async (generation, grants) => {
          await this.beforeLearn(grants)
          return this.driver.learn(generation, grants)
        },
        observe: async (generation) => {
          const { live } = await this.driver.observe()
          return live?.generation === generation ? live.learned : undefined
        },
      },
      recalled,
      keep: (memory) => {
        this.kept = structuredClone(memory)
      },
      nowMs: () => this.nowMs,
      tickMs: () => performance.now(),
      tell: (events) => this.told.push(...events),
      failed: (error) => this.failures.push(error),
    }
  }

  mediator(recalled: Recalled = this.kept): Mediator {
    return new Mediator(this.ports(recalled), { wildcardNames: this.wildcardNames })
  }

  /** Unexpired grants in the kernel, as `address:port protocol`. */
  async granted(): Promise<string[]> {
    const { live } = await this.driver.observe()
    const all = (live?.learned ?? []).filter((grant) => grant.expiresAtMs > this.nowMs)
    return [...new Set(all.map(({ address, port, protocol }) => `${address}:${port} ${protocol}`))].sort()
  }
}

export const query = (name: string, type: string, more: Partial<Packet> = {}): Buffer =>
  encode({
    type: 'query',
    id: 4711,
    flags: 256,
    questions: [{ name, type: type as 'A', class: 'IN' }],
    ...more,
  })

/** One datagram out, one in. */
export function askUdp(
  port: number,
  octets: Buffer,
  address = '127.0.0.1',
): Promise<DecodedPacket & { octets: Buffer }> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  return new Promise((done, failed) => {
    socket.once('error', failed)
    socket.once('message', (message) => {
      socket.close()
      done({ ...decode(message), octets: message })
    })
    socket.send(octets, port, address)
  })
}

/** All messages on one connection, then the half is closed; gives the answers in the order in which they came. */
export function askTcp(port: number, messages: readonly Buffer[]): Promise<DecodedPacket[]> {
  return new Promise((done, failed) => {
    const socket = connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('error', failed)
    socket.on('data', (data: Buffer) => chunks.push(data))
    socket.on('end', () => {
      const answers: DecodedPacket[] = []
      for (let rest = Buffer.concat(chunks); rest.length >= 2; ) {
        const length = rest.readUInt16BE(0)
        answers.push(decode(rest.subarray(2, length + 2)))
        rest = rest.subarray(length + 2)
      }
      done(answers)
    })
    socket.end(Buffer.concat(messages.map(framed)))
  })
}

export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}
