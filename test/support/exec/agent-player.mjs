// Plays in a guest with BPF LSM: `sluice agent` itself, as a process, with `bpf-lsm` for a workspace that is a cgroup. An operator signs and
// publishes releases beside it, by the same command line in this process. Programs and files are tried in the cgroup while releases change,
// in quarantine, with the agent killed, while it comes back, and when the release ends. Traffic is `memory`'s, which is gone with each agent:
// here it is not looked at. Prints one line of JSON.

import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { adoptSha256 } from '/opt/sluice/dist/base/digest.js'
import { composeHost } from '/opt/sluice/dist/bin/host.js'
import { runCli } from '/opt/sluice/dist/cli/main.js'

adoptSha256((bytes) => createHash('sha256').update(bytes).digest())

const [NODE, PLACE, GROUP] = ['/tmp/node', '/agent', '/sys/fs/cgroup/agent0']
const WORKSPACE = 'spiffe://fleet.example/ws/agent0'
const PATIENCE_MS = 600_000
const said = { tookMs: {} }
const began = performance.now()
/** Where it is, for whoever reads what a guest left that did not end. */
const mark = (phase) => {
  said.tookMs[phase] = Math.round(performance.now() - began)
  process.stderr.write(`${phase} ${said.tookMs[phase]} ms\n`)
}

/** Asks again until there is an answer. */
async function until(what, look) {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > end) throw new Error(`waited in vain for ${what}\n${spoken.slice(-3_000)}`)
    await sleep(50)
  }
}

/** A command line of the node's operator; gives its JSON. */
async function sluice(...words) {
  let [out, error] = ['', '']
  const host = composeHost({
    cwd: NODE,
    environment: () => undefined,
    write: (text) => (out += text),
    writeError: (text) => (error += text),
    colour: false,
    nowMs: () => Date.now(),
    random: (length) => randomBytes(length),
    confirm: () => Promise.resolve(true),
    operator: 'user:operator',
    interrupted: () => AbortSignal.abort(),
  })
  const exit = await runCli([...words, '--json'], host)
  if (exit !== 0) throw new Error(`sluice ${words.join(' ')}: exit ${exit}: ${error}${out}`)
  return out === '' ? {} : JSON.parse(out)
}

/** The files of the volume, two programs, and a cgroup. */
mkdirSync(PLACE)
spawnSync('mount', ['-t', 'tmpfs', 'agent', PLACE])
for (const folder of ['project/out', 'project/.secrets']) mkdirSync(`${PLACE}/volume/${folder}`, { recursive: true })
writeFileSync(`${PLACE}/volume/project/main.c`, 'int main;\n')
writeFileSync(`${PLACE}/volume/project/.secrets/token`, 'SECRET\n')
for (const name of ['ok', 'evil']) copyFileSync(`/opt/${name}`, `${PLACE}/${name}`)
mkdirSync(GROUP)
/** Does a line of the shell succeed in the cgroup? */
const can = (line) => spawnSync('/bin/sh', ['-c', `echo 0 >${GROUP}/cgroup.procs && ${line}`]).status === 0
const [RUN_OK, RUN_EVIL] = [`exec ${PLACE}/ok`, `exec ${PLACE}/evil`]
const [READ, WRITE, PEEK] = [
  `exec cat ${PLACE}/volume/project/main.c`,
  `echo x >${PLACE}/volume/project/out/x`,
  `exec cat ${PLACE}/volume/project/.secrets/token`,
]
/** Of five things, those that can be done, in this order. */
const LINES = { ok: RUN_OK, evil: RUN_EVIL, read: READ, write: WRITE, peek: PEEK }
const possible = () => Object.keys(LINES).filter((name) => can(LINES[name]))

mkdirSync(NODE)
await sluice('init', '.', '--interface', 'none-such')
const edit = (name, change) => writeFileSync(`${NODE}/${name}`, change(readFileSync(`${NODE}/${name}`, 'utf8')))
edit('agent.yaml', (text) =>
  text
    .replace(/^backends:.*$/m, 'backends: [memory, bpf-lsm]')
    .replace(/^attach_interfaces:.*$/m, 'attach_interfaces: ["none-such*"]'),
)
appendFileSync(`${NODE}/agent.yaml`, 'source: {from: pub, inventory: inventory.yaml, interval_seconds: 1}\n')
writeFileSync(
  `${NODE}/inventory.yaml`,
  `apiVersion: sluice.dev/v1alpha1
kind: Inventory
audience: fleet.example/dev
revision: 2
workspaces:
  - id: ${WORKSPACE}
    slot: {kind: cgroup, interface: agent0}
    mac: "02:00:00:00:00:07"
    addresses: ["45.76.0.7"]
    gateway: {mac: "02:00:00:00:00:08", addresses: ["45.76.0.8"]}
    volumes: [{name: work, source: ${PLACE}/volume, mount: ${PLACE}/view}]
`,
)
await sluice('inventory', 'sign', 'inventory.yaml', '--key', 'keys/inventory.key')
mark('prepared')

let revision = 0
/** Publishes a release, and gives its revision. */
async function publish(programs, rules, lifetimeMs = 86_400_000) {
  revision++
  rmSync(`${NODE}/next`, { recursive: true, force: true })
  mkdirSync(`${NODE}/next`)
  writeFileSync(
    `${NODE}/next/fence.yaml`,
    `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: {name: node}
applies_to: {workspaces: ["${WORKSPACE}"]}
process: {allow_exec: [${['/bin/busybox', ...programs].join(', ')}], reaction: observe}
storage: {volumes: [{name: work, ${rules}}]}
`,
  )
  const instant = (ms) => new Date(Date.now() + ms).toISOString()
  await sluice(
    ...['bundle', 'sign', 'next', '--id', 'node', '--author', 'keys/author.key', '--release', 'keys/release.key'],
    ...['--revision', String(revision), '--audience', 'fleet.example/dev'],
    ...['--not-before', instant(-60_000), '--expires', instant(lifetimeMs)],
  )
  await sluice('bundle', 'push', 'next', '--to', 'pub', '--channel', 'stable')
  return String(revision)
}

let spoken = ''
let agent
let ended
let lines = []
function start() {
  lines = []
  agent = spawn(process.execPath, ['/opt/sluice/dist/bin/sluice.js', 'agent', '--config', 'agent.yaml', '--json'], {
    cwd: NODE,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  ended = new Promise((done) => agent.once('close', done))
  createInterface({ input: agent.stderr }).on('line', (line) => {
    spoken += `${line}\n`
    if (line.startsWith('{')) lines.push(JSON.parse(line))
  })
}
const told = (event, matches = () => true) =>
  until(`the agent to tell ${event}`, () => {
    if (agent.exitCode !== null || agent.signalCode !== null)
      throw new Error(`the agent ended: ${agent.exitCode} ${agent.signalCode} ${spoken.slice(-3_000)}`)
    return lines.find((line) => line.event === event && matches(line.detail))
  })
async function kill() {
  agent.kill('SIGKILL')
  await ended
}
const status = () => sluice('status', '--config', 'agent.yaml')
const events = () =>
  readFileSync(`${NODE}/events.ndjson`, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

const RULES = 'read_only: [/project], read_write: [/project/out], deny: [/project/.secrets]'
await publish([`${PLACE}/ok`], RULES)
said.plan = (await sluice('plan', 'next', '--inventory', 'inventory.yaml', '--config', 'agent.yaml')).guarantees
said.nobody = possible()
mark('published')
start()
await told('active')
mark('active')
said.first = possible()
/** What the trail says of a refusal: once by a name of its own, since the same refusals are folded. */
const recorded = (path) =>
  until(`an event about ${path}`, () => events().find((one) => JSON.stringify(one).includes(`"${path}"`)))
said.told = [await recorded(`${PLACE}/evil`), await recorded('/project/.secrets/token')]
mark('told')

// Another release: what was listed is not, what was denied may be read.
const second = await publish([`${PLACE}/evil`], 'read_only: [/project]')
await told('active', (detail) => detail.revision === second)
said.second = possible()
mark('second')

// Quarantine, and an agent that is killed in it: it holds, and holds when another is back.
await sluice('quarantine', 'set', WORKSPACE, '--reason', 'drill', '--config', 'agent.yaml')
said.quarantined = possible()
mark('quarantined')
await kill()
said.quarantinedAlone = possible()
start()
const back = [(await told('stands')).detail.state]
said.quarantinedAgain = [...back, possible(), (await status()).quarantines.map((one) => one.workspace)]
await sluice('quarantine', 'lift', WORKSPACE, '--reason', 'seen', '--config', 'agent.yaml')
said.lifted = possible()
mark('lifted')

// Killed while somebody tries all the time: nothing opens, and nothing that is allowed is refused, until another is back.
writeFileSync(
  '/tmp/knock.sh',
  `echo 0 >${GROUP}/cgroup.procs
while [ -e /tmp/knocking ]; do
  ${PLACE}/ok 2>/dev/null && echo opened
  echo x 2>/dev/null >${PLACE}/volume/project/out/x && echo opened
  ${PLACE}/evil || echo refused
  cat ${PLACE}/volume/project/.secrets/token >/dev/null || echo refused
  echo round
  sleep 0.3
done
`,
)
writeFileSync('/tmp/knocking', '')
const knocker = spawn('/bin/sh', ['/tmp/knock.sh'], { stdio: ['ignore', 'pipe', 'ignore'] })
let heard = ''
knocker.stdout.on('data', (more) => (heard += more))
const rounds = () => heard.split('\n').filter((line) => line === 'round').length
const more = async () => {
  const before = rounds()
  await until('another round', () => rounds() > before + 1)
}
await more()
await kill()
await more()
const alone = rounds()
mark('alone')
start()
await told('stands')
await more()
rmSync('/tmp/knocking')
await new Promise((done) => knocker.once('close', done))
said.gap = {
  alone: alone > 2,
  back: rounds() > alone,
  amiss: heard.split('\n').filter((line) => !['round', ''].includes(line)),
}
mark('back')

// A release that ends with nobody there: the kernel's own clock ends it. One that ended before it was live is published again, longer.
let outcome
for (let lifetimeMs = 15_000; outcome?.event !== 'active'; lifetimeMs *= 2) {
  const short = await publish([`${PLACE}/evil`], 'read_only: [/project]', lifetimeMs)
  const before = lines.length
  outcome = await until('the short release', () =>
    lines
      .slice(before)
      .find((line) => (line.event === 'active' && line.detail.revision === short) || line.event === 'source-failed'),
  )
}
mark('short')
await kill()
await until('the release to end', () => !can(RUN_EVIL) && !can(READ))
said.expired = possible()
mark('expired')
start()
await publish([`${PLACE}/ok`], RULES)
await told('active', (detail) => detail.revision === String(revision))
said.renewed = possible()
mark('renewed')
await kill()
said.uninstalled = (await sluice('uninstall', '--yes', '--config', 'agent.yaml')).removed
said.after = [possible(), existsSync('/sys/fs/bpf/sluice/guard-1')]
mark('over')
process.stdout.write(`${JSON.stringify(said, (_, value) => (typeof value === 'bigint' ? Number(value) : value))}\n`)
process.exit(0)
