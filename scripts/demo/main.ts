// The demo: a workspace, an enforcement node and an outside world as network namespaces; a bundle made, signed and applied with
// the product's own commands; every probe before the fence and behind it; bundles that must not get in; a grant dropped under
// load; a quarantine under load; a policy of host names; programs that are not listed. Prints what was seen and ends with `demo: N probes, 0 unexpected`. Needs root.
//
// BACKEND names the backend (nftables when unset; `doca` is doca-flow on the software BlueField, card.ts). Where a backend
// declares that it differs, its rows say so (terms.ts). Everything it makes is taken away again, except the events' file.
// Where there is QEMU it ends with a machine (machine.ts), which takes a minute more without KVM; VM=0 leaves it out, and with VM=1 it is
// an error when there can be none.

import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { OUT, UPLINK, WS } from '../../test/support/lab/addresses.js'
import { plugIn } from '../../test/support/lab/card.js'
import { type Lab, withLab } from '../../test/support/lab/lab.js'
import { canBuild } from '../../test/support/lab/namespaces.js'
import { repositoryPath } from '../../test/support/lab/repository.js'
import { CARD_GATEWAY, CARD_SLOT, Card } from './card.js'
import { machine, noMachine } from './machine.js'
import { names, UPSTREAM } from './names.js'
import type { Probe, Scene, Verdict } from './probe.js'
import { PROBES } from './probes.js'
import { processes } from './processes.js'
import { type Document, Product, textAt } from './product.js'
import { type QuarantineTimes, quarantine } from './quarantine.js'
import { type Applying, apply, refusals } from './refusals.js'
import { finish, printTable, progress, type Row } from './report.js'
import { revocation } from './revocation.js'
import { noVolumes, storage, VOLUME } from './storage.js'
import { because, declared, expected, type Terms } from './terms.js'
import { type Ground, VETH, WORKSPACE, Workshop } from './workshop.js'

const ASKED = process.env.BACKEND ?? 'nftables'
const BACKEND = ASKED === 'doca' ? 'doca-flow' : ASKED
const ON_CARD = BACKEND === 'doca-flow'
const VOLUMES = !ON_CARD && noVolumes === undefined
const GROUND: Ground = ON_CARD
  ? { slot: CARD_SLOT, attach: 'pf0vf*', more: UPSTREAM }
  : { ...VETH, ...(VOLUMES ? { beside: [VOLUME] } : {}) }
const DIRECTORY = repositoryPath('build/demo-run')
const EVENTS = repositoryPath('build/demo-events.ndjson')

async function openScene(lab: Lab): Promise<Scene> {
  const names = {
    'git.example': [OUT.git, OUT.git6],
    'registry.example': [OUT.registry],
    'warehouse.corp.example': [OUT.database],
    'other.example': [OUT.unlisted, OUT.unlisted6],
    'metadata.example': [OUT.metadata, OUT.metadata6],
  }
  lab.hosts('ws', names)
  const node = await lab.station('node')
  await node.serveTcpEcho([22])
  await lab.ws.serveTcpEcho([22, 8080])
  await lab.ws.serveUdpEcho([WS.v4], [5000])
  await lab.ws2.serveTcpEcho([22])
  return {
    lab,
    node,
    sender: await lab.sender('ws', WS.inside),
    outside: await lab.sniff('out', UPLINK.out.interface),
    gateway: WS.slot,
  }
}

/** Without a fence everything answers; otherwise a refusal later would prove nothing. */
async function beforeTheFence(scene: Scene): Promise<void> {
  const closed: string[] = []
  const probes = PROBES.filter((probe) => probe.open)
  for (const probe of probes) if ((await probe.run(scene)) !== 'allowed') closed.push(probe.name)
  if (closed.length > 0) throw new Error(`not reachable even without a fence: ${closed.join('; ')}`)
  progress(`before the fence: ${probes.length} of ${probes.length} probes get through`)
}

interface Said {
  readonly verdict: Verdict
  readonly clause: string
}

/** What the product says about a probe: the clause that allows it, or the reason why nothing does. */
async function explained(product: Product, probe: Probe): Promise<Said | undefined> {
  if (probe.question === undefined) return undefined
  const { json } = await product.run(
    'explain',
    '--workspace',
    WORKSPACE,
    '--packet',
    probe.question,
    '--plan',
    'plan.json',
  )
  const clause = textAt(json, 'clause', 'name')
  const refusal = textAt(json, 'verdict', 'refusal')
  return {
    verdict: json.allowed === true ? 'allowed' : refusal === 'silent' ? 'dropped' : 'refused',
    clause: json.allowed === true ? clause : textAt(json, 'verdict', 'reason'),
  }
}

async function* behindTheFence(scene: Scene, product: Product, terms: Terms): AsyncGenerator<Row> {
  for (const [i, probe] of PROBES.entries()) {
    const said = await explained(product, probe)
    const observed = await probe.run(scene)
    // What the plan means is one thing, what this backend declares to do about it another.
    const agrees = said === undefined || said.verdict === probe.expect
    const wanted = expected(probe, terms)
    if (i === 0) progress(`first verdict: ${probe.name}: ${observed}`)
    if ((i + 1) % 15 === 0) progress(`${i + 1} of ${PROBES.length} probes done`)
    yield {
      group: probe.group,
      probe: probe.name,
      expected: wanted.expect,
      observed,
      clause: agrees
        ? because(said?.clause ?? probe.because ?? '', wanted)
        : `explain says ${said.verdict}: ${said.clause}`,
      ok: observed === wanted.expect && agrees,
    }
  }
}

/** The slot that no workspace is attached to carries nothing. */
async function emptySlot({ lab }: Scene): Promise<Row> {
  const got = await lab.ws2.tcp({ host: OUT.git, port: 443, timeoutMs: 800 })
  const observed = got.outcome === 'connected' ? 'allowed' : 'not allowed'
  return {
    group: 'a slot without a workspace',
    probe: 'HTTP git.example from it',
    expected: 'not allowed',
    observed,
    clause: 'not-attached',
    ok: observed === 'not allowed',
  }
}

/** Runs everything; rows are collected as they come, so that a demo that has to stop still shows what it saw. */
async function demo(lab: Lab, rows: Row[]): Promise<QuarantineTimes> {
  const product = new Product(lab.namespace('node'), DIRECTORY)
  const card = ON_CARD ? new Card(lab, product) : undefined
  if (card) plugIn()
  const terms = await declared(product, BACKEND)
  const scene = await openScene(lab)
  await beforeTheFence(scene)

  const workshop = new Workshop(DIRECTORY, product)
  await workshop.open(BACKEND, GROUND)
  await workshop.draft('revision-1')
  await workshop.sign('revision-1', 10)
  progress('keys, trust root, inventory and bundle made and signed')
  const slots = ['--inventory', 'inventory.yaml', '--config', 'agent.yaml']
  await product.run('plan', 'revision-1', ...slots, '--out', 'plan.json')
  await card?.insert()
  await card?.start()
  const first = await apply(product, 'revision-1')
  if (first.exit !== 0) throw new Error(`apply: exit ${first.exit}\n${JSON.stringify(first.json, undefined, 2)}`)
  const [generation, took] = [textAt(first.json, 'generation'), textAt(first.json, 'elapsedMs')]
  progress(`generation ${generation} active on ${BACKEND} after ${took} ms`)

  const watch = product.watch()
  const fenced = card ? { ...scene, gateway: CARD_GATEWAY } : scene
  for await (const row of behindTheFence(fenced, product, terms)) rows.push(row)
  rows.push(await emptySlot(scene))
  if (VOLUMES) rows.push(...(await storage({ lab, directory: DIRECTORY, facts: watch.facts })))
  else if (noVolumes !== undefined) progress(`files: left out, because ${noVolumes}`)
  await scene.outside.close()
  const applying: Applying = { lab, product, workshop, terms, agentRuns: card !== undefined }
  progress('bundles that must not get in')
  rows.push(...(await refusals(applying)))
  progress('a revision that drops a grant, while downloads run')
  rows.push(...(await revocation(applying)))
  progress('quarantine, while downloads run')
  const { rows: quarantined, times } = await quarantine(applying)
  rows.push(...quarantined)
  if (terms.denials !== 'all') rows.push(await counted(product))
  if (card) {
    progress('the card is reset under the agent; the agent is killed')
    // It would end with the agent.
    await watch.stop()
    rows.push(told(rows, watch.facts, terms))
    rows.push(...(await card.reset()), ...(await card.killed()))
  }
  progress('names: a policy of host names, a resolver, the mediator')
  rows.push(...(await names(applying)))
  if (!card) await watch.stop()
  if (!card) rows.push(told(rows, watch.facts, terms))
  copyFileSync(workshop.events(), EVENTS)
  await card?.stop()
  await product.run('uninstall', '--yes', '--config', 'agent.yaml')
  if (!card) {
    progress('programs: what is not listed, and a reverse shell')
    rows.push(...(await processes(lab, DIRECTORY)))
    if (process.env.VM !== '0') rows.push(...(await machineOrWhyNot(lab)))
  }
  rows.push(await leftovers(lab))
  return times
}

async function machineOrWhyNot(lab: Lab): Promise<readonly Row[]> {
  const why = await noMachine()
  if (why === undefined) return machine(lab)
  if (process.env.VM === '1') throw new Error(`no machine: ${why}`)
  progress(`machine: left out, because ${why}`)
  return []
}

/** The link layer is judged before packets can be sampled; an empty slot has no workspace to speak of. */
const UNTOLD = ['link-layer', 'not-attached']
/** What is not shown where only sound packets that no grant allows are (capability `denials: unallowed`). */
const UNSEEN = [
  'spoof',
  'fragment',
  'malformed',
  'icmp-error',
  'quarantined',
  'the card is empty',
  'no agent, no pipes',
]
const COUNTED = ['link-layer', 'spoof', 'no-grant', 'no-flow']

/** Every reason for which a probe was refused must be in the trail. */
function told(rows: readonly Row[], facts: readonly Document[], { denials }: Terms): Row {
  const refused = rows.filter((row) => ['refused', 'dropped'].includes(row.expected))
  // The capability behind it explains the expectation, not the reason.
  const reasons = new Set(refused.map((row) => row.clause.split('; ')[0] ?? ''))
  const untold = denials === 'all' ? UNTOLD : [...UNTOLD, ...UNSEEN]
  const expected = denials === 'counted' ? [] : [...reasons].filter((reason) => !untold.includes(reason)).sort()
  const denied = facts.filter((fact) => fact.kind === 'flow-denied').map((fact) => textAt(fact, 'reason'))
  const missing = expected.filter((reason) => !denied.includes(reason))
  return {
    group: 'audit',
    probe: `refusals told by sluice watch, ${expected.length} reasons`,
    expected: 'all told',
    observed: missing.length === 0 ? 'all told' : `not told: ${missing.join(', ')}`,
    clause: `${expected.join(', ')}${denials === 'all' ? '' : `; denials: ${denials}`}`,
    ok: missing.length === 0,
  }
}

/** Where refused packets are counted and not shown, the counters must have moved, each reason for itself. */
async function counted(product: Product): Promise<Row> {
  const drops = (await product.run('status', '--config', 'agent.yaml')).json.drops as Readonly<Record<string, string>>
  const still = COUNTED.filter((reason) => Number(drops[reason] ?? 0) === 0)
  return {
    group: 'audit',
    probe: `refusals counted in sluice status, ${COUNTED.length} reasons`,
    expected: 'all counted',
    observed: still.length === 0 ? 'all counted' : `not counted: ${still.join(', ')}`,
    clause: COUNTED.join(', '),
    ok: still.length === 0,
  }
}

/** The card's own chain keeps its cables closed, with or without us. */
const CARD_TABLE = /^table netdev doca_emulator_\d+ \{\n[^}]*\}\n\}\n?/gm

async function leftovers(lab: Lab): Promise<Row> {
  const { stdout } = await lab.exec('node', ['nft', 'list', 'ruleset'])
  const observed = stdout.replace(CARD_TABLE, '').trim() === '' ? 'nothing left' : 'tables left'
  return {
    group: 'uninstall',
    probe: 'rules in the node afterwards',
    expected: 'nothing left',
    observed,
    clause: '',
    ok: observed === 'nothing left',
  }
}

async function main(): Promise<number> {
  const able = await canBuild()
  if (able !== true) throw new Error(able)
  progress('building namespaces and servers')
  const rows: Row[] = []
  try {
    const times = await withLab((lab) => demo(lab, rows))
    printTable(rows)
    process.stdout.write(`events: ${EVENTS}\n${describeTimes(times)}\n`)
  } catch (error) {
    if (rows.length > 0) printTable(rows)
    throw error
  }
  return finish(rows)
}

const describeTimes = ({
  flows,
  acceptedToFencedMs,
  acceptedToLastByteMs,
  startToLastByteMs,
}: QuarantineTimes): string =>
  `quarantine of ${flows} live flows: ${sayLast(acceptedToLastByteMs)} ` +
  `(fence read back after ${acceptedToFencedMs} ms; ${startToLastByteMs.toFixed(0)} ms with the start of its process)`

rmSync(DIRECTORY, { recursive: true, force: true })
mkdirSync(DIRECTORY, { recursive: true })
// Also when a signal ends the demo: the laboratory's own handler exits the process.
process.once('exit', () => rmSync(DIRECTORY, { recursive: true, force: true }))
try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`demo: stopped: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

/** The senders pause between their pieces: on a busy machine none may be on the way when the command is accepted. */
function sayLast(ms: number): string {
  if (ms >= 0) return `last byte ${ms.toFixed(1)} ms after the command was accepted`
  return `no byte after the command was accepted, the last one ${(-ms).toFixed(1)} ms before it`
}
