// A running agent under everything at once, for as long as it is told: changes of policy, names that come and go, quarantines,
// attach and detach, foreign flushes, a channel that goes away, a trail without room and sinks that fail, with traffic all the
// while. After each deed the packets are asked what is live; every answer that differs is a wrong verdict. Memory and open
// files are read once a minute; the end says whether they grew, and whether every event of the journal reached every sink.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { verifyJournal } from '../../src/audit/verify.js'
import { ID, ID2, reach, SLOTS } from '../../test/agent-process/nodes.js'
import { RunningAgent, until } from '../../test/support/agent/running.js'
import { hasUnbound, startResolver } from '../../test/support/dns/resolver.js'
import { OUT, UPLINK, WS } from '../../test/support/lab/addresses.js'
import { type Lab, openLab } from '../../test/support/lab/lab.js'
import { SINKS, SinkSide } from './sinks.js'

const minutes = Number(process.argv[2] ?? 5)
if (!(minutes > 0)) throw new TypeError('node scripts/soak.mjs MINUTES')

interface Sample {
  readonly minute: number
  readonly rssMb: number
  readonly handles: number
}
const deeds = new Map<string, number>()
const wrong: string[] = []
const samples: Sample[] = []
let verdicts = 0
let revision = 1

const count = (deed: string): void => {
  deeds.set(deed, (deeds.get(deed) ?? 0) + 1)
}
/** What `publish` grants by address, and what is only named when names are granted. */
const grantOf = (at: number): string => (at % 2 === 1 ? OUT.git : OUT.registry)
const otherOf = (at: number): string => (at % 2 === 1 ? OUT.registry : OUT.git)

/** What the packets of the first workspace say, against what they should. */
async function judge(lab: Lab, what: string, expected: readonly string[]): Promise<void> {
  const hosts = [grantOf(revision), otherOf(revision)]
  for (const [i, host] of hosts.entries()) {
    verdicts++
    const found = await reach(lab, host)
    if (found !== expected[i]) wrong.push(`${what}: revision ${revision}, ${host}: ${found}, not ${expected[i]}`)
  }
}
const OPEN = ['connected', 'reset']
const SHUT = ['timeout', 'timeout']

interface Answer {
  readonly exit: number | null
  readonly json: {
    readonly state?: string
    readonly sinks?: readonly { readonly name: string; readonly state: string }[]
  }
  readonly stderr: string
}
const ask = (agent: RunningAgent, ...words: string[]): Promise<Answer> => agent.ask(...words)

async function publish(agent: RunningAgent, extra = ''): Promise<void> {
  revision++
  await agent.publish(revision, [grantOf(revision)], [ID, ID2], { extra })
  await agent.told('active', (detail) => detail.revision === String(revision))
}

/** A rule for the host that the revision after this one does not grant by address. */
const nameOf = (at: number): string => (otherOf(at) === OUT.git ? 'git.lab.example' : 'registry.lab.example')

/** The status of the fence's answer. */
async function dig(lab: Lab, name: string): Promise<string> {
  const words = ['dig', `@${WS.gateway4}`, '+tries=1', '+time=8', '+nocookie', name]
  return /status: (\w+)/.exec((await lab.exec('ws', words)).stdout)?.[1] ?? 'none'
}

async function run(lab: Lab, agent: RunningAgent, log: string, sinks: SinkSide): Promise<void> {
  const must = async (...words: string[]) => {
    const { exit, json, stderr } = await ask(agent, ...words)
    if (exit !== 0) wrong.push(`sluice ${words.join(' ')}: exit ${exit}: ${JSON.stringify(json)}${stderr}`)
  }
  const back = () =>
    until('the workspace to be let in', async () => (await reach(lab, grantOf(revision))) === 'connected')
  const failing = (name: string) =>
    until(`${name} to fail`, async () =>
      (await ask(agent, 'status')).json.sinks?.some((sink) => sink.name === name && sink.state === 'failing'),
    )
  const delivered = async () => (await ask(agent, 'status')).json.sinks?.every((sink) => sink.state === 'waiting')
  const DEEDS: readonly (readonly [string, () => Promise<unknown>])[] = [
    [
      'policy change',
      async () => {
        await publish(agent)
        await judge(lab, 'policy change', OPEN)
      },
    ],
    [
      'http sink outage',
      async () => {
        // For a while each time, and rarely enough that it gets through in between.
        if ((deeds.get('policy change') ?? 0) % 4 !== 1) return 'skipped'
        await sinks.receiver.stop()
        await publish(agent)
        await failing('siem')
        await judge(lab, 'without the http sink', OPEN)
        return undefined
      },
    ],
    [
      'quarantine',
      async () => {
        await must('quarantine', 'set', ID, '--reason', 'soak')
        await judge(lab, 'quarantined', SHUT)
        await must('quarantine', 'lift', ID, '--reason', 'soak')
        await back()
        await judge(lab, 'lifted', OPEN)
      },
    ],
    [
      'detach and attach',
      async () => {
        await must('detach', ID)
        await judge(lab, 'detached', SHUT)
        await must('attach', ID, '--interface', 'ws0')
        await back()
        await judge(lab, 'attached', OPEN)
      },
    ],
    [
      'foreign flush',
      async () => {
        await lab.exec('node', ['nft', 'flush', 'ruleset'])
        await until('the repair', async () => (await ask(agent, 'status')).json.state === 'active')
        await back()
        await judge(lab, 'repaired', OPEN)
      },
    ],
    [
      'http sink back',
      async () => {
        await sinks.receiver.start()
        await judge(lab, 'with the http sink', OPEN)
      },
    ],
    [
      'channel outage',
      async () => {
        renameSync(agent.path('pub'), agent.path('gone'))
        await judge(lab, 'without a channel', OPEN)
        renameSync(agent.path('gone'), agent.path('pub'))
      },
    ],
    [
      'name churn',
      async () => {
        const name = nameOf(revision + 1)
        await publish(agent, `  - {name: churn, hosts: [${name}], protocol: tcp, ports: [80]}\n`)
        await judge(lab, 'named, not asked for', OPEN)
        await until('an answer', async () => (await dig(lab, name)) === 'NOERROR')
        await judge(lab, 'named and learnt', ['connected', 'connected'])
        await publish(agent)
        await judge(lab, 'names gone', OPEN)
        const answer = await dig(lab, name)
        if (answer !== 'REFUSED') wrong.push(`names gone: ${name} is answered ${answer}`)
      },
    ],
    [
      'file sink outage',
      async () => {
        sinks.fill()
        await publish(agent)
        await failing('archive')
        await judge(lab, 'without the file sink', OPEN)
        sinks.free()
      },
    ],
    [
      'trail outage',
      async () => {
        try {
          writeFileSync(join(log, 'filler'), Buffer.alloc(512 << 20))
        } catch {
          // That it is full is the point.
        }
        await publish(agent)
        await judge(lab, 'without room for the trail', OPEN)
        rmSync(join(log, 'filler'))
      },
    ],
  ]
  const begun = Date.now()
  for (let turn = 0; Date.now() - begun < minutes * 60_000; turn++) {
    const [name, act] = DEEDS[turn % DEEDS.length] ?? ['', async () => undefined]
    try {
      if ((await act()) !== 'skipped') count(name)
    } catch (error) {
      wrong.push(`${name}: ${error instanceof Error ? error.message.slice(0, 400) : String(error)}`)
      break
    }
    const minute = (Date.now() - begun) / 60_000
    if (samples.length === 0 || minute - (samples.at(-1)?.minute ?? 0) >= 1) samples.push(sample(agent, minute))
  }
  samples.push(sample(agent, (Date.now() - begun) / 60_000))
  sinks.free()
  await sinks.receiver.start()
  // A sink that failed for long is left alone for up to a minute.
  for (let tries = 0; tries < 3 && !(await delivered()); tries++) await until('the sinks', delivered).catch(() => false)
}

function sample(agent: RunningAgent, minute: number): Sample {
  const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1] ?? '0'
  const handles = readdirSync(`/proc/${agent.pid}/fd`).length
  const taken = { minute, rssMb: Math.round(Number(kb) / 1024), handles }
  console.log(
    `${minute.toFixed(1)} min: RSS ${taken.rssMb} MB, ${handles} handles, ${verdicts} verdicts, ${wrong.length} wrong`,
  )
  return taken
}

if (!hasUnbound()) throw new TypeError('unbound and ldnsutils are not installed: scripts/setup.sh tests')
const lab = await openLab()
const ports = { port: 53, dotPort: 8853, authorityPort: 5300 }
const resolver = await startResolver({ namespace: lab.namespace('out'), address: UPLINK.out.v4, ...ports })
const more = `dns: {upstreams: ["udp://${UPLINK.out.v4}"]}\n${SINKS}`
const agent = await RunningAgent.prepare(lab.namespace('node'), SLOTS, more)
const log = agent.path('log')
mkdirSync(log)
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', log])
const sinks = await SinkSide.prepare(agent)
try {
  const config = readFileSync(agent.path('agent.yaml'), 'utf8')
  agent.write('agent.yaml', config.replace(/^events_file:.*$/m, 'events_file: log/events.ndjson'))
  await agent.publish(revision, [grantOf(revision)], [ID, ID2])
  agent.start()
  await agent.told('active')
  const traffic = await lab.station('ws2')
  await traffic.download({ host: grantOf(revision), port: 443, rate: 20_000 })
  await run(lab, agent, log, sinks)
  const exit = await agent.stop()
  const chain = await verifyJournal(join(log, 'events.ndjson'))
  const { wrong: missing, say } = sinks.reconcile(chain.lastSequence)
  wrong.push(...missing)
  console.log(`\n${say.join('\n')}`)
  console.log(`${[...deeds].map(([deed, times]) => `${deed} ${times}`).join(', ')}`)
  console.log(
    `${verdicts} verdicts, ${wrong.length} wrong; exit ${exit}; ${chain.events} events, chain ${chain.intact ? 'intact' : 'BROKEN'}`,
  )
  const [first, last] = [samples[1] ?? samples[0], samples.at(-1)]
  console.log(`RSS ${first?.rssMb} -> ${last?.rssMb} MB, handles ${first?.handles} -> ${last?.handles}`)
  for (const { kind, file, line, say } of chain.findings.slice(0, 20)) console.log(`${kind}: ${file}:${line}: ${say}`)
  for (const line of wrong.slice(0, 20)) console.log(`wrong: ${line}`)
  process.exitCode = wrong.length === 0 && chain.intact && exit === 0 ? 0 : 1
} finally {
  await sinks.close()
  execFileSync('umount', ['-l', log])
  await agent.close()
  await resolver.close()
  await lab.close()
}
