// A node that applies one release after another, and quarantines now and then, until it is killed. First it says, as JSON, what
// it found: what the kernel shows, what is on record, what it is after standing and a repair, and whether the chain of events is
// whole. Then a word before and after each step. Some quarantines and lifts end with its own death, before they are told. Arguments:
// the operator's directory, the backend, a seed.

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { admit } from '../../dist/agent/admit.js'
import { repair } from '../../dist/agent/loop-repair.js'
import { observeAll } from '../../dist/agent/node.js'
import { fence, quarantine } from '../../dist/agent/quarantine.js'
import { stand } from '../../dist/agent/stand.js'
import { status } from '../../dist/agent/status.js'
import { markAt, TRAIL_STATE } from '../../dist/agent/trail.js'
import { events } from '../../dist/audit/query.js'
import { verifyJournal } from '../../dist/audit/verify.js'
import { utf8 } from '../../dist/base/bytes.js'
import { composeHost, processSurface } from '../../dist/bin/host.js'
import { openAgentNode } from '../../dist/bin/node.js'
import { readPrivateKey, signerOf } from '../../dist/bundle/key-file.js'
import { makeManifest, makeRelease, signManifest, signRelease } from '../../dist/bundle/sign.js'

const [directory, backend, seedText, workspace] = process.argv.slice(2)
let seed = Number(seedText)
const chance = () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}
const say = (line) => process.stdout.write(`${line}\n`)
const at = (name) => join(directory, name)
const around = { ...processSurface(), cwd: directory, version: 'test', operator: 'user:test', resolve: at }
const config = composeHost({ ...processSurface(), cwd: directory }).configure(
  'agent.yaml',
  readFileSync(at('agent.yaml')),
)
const inventory = {
  yaml: readFileSync(at('inventory.yaml')),
  signature: readFileSync(at('inventory.jws.json')),
  file: 'inventory.yaml',
}
const signer = (name) => signerOf(readPrivateKey(readFileSync(at(`keys/${name}.key`))))
const [author, release] = [signer('author'), signer('release')]

/** Odd revisions grant one set of addresses, even ones another. */
async function bundleOf(revision) {
  const cidrs = Array.from({ length: 60 }, (_, i) => `45.76.${revision % 2}.${i + 1}/32`)
  const fence = `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: {name: node}
applies_to: {workspaces: ["spiffe://fleet.example/ws/*"]}
egress:
  - {name: e, cidrs: [${cidrs.map((cidr) => `"${cidr}"`).join(', ')}], protocol: tcp, ports: [80, 443]}
`
  const window = { notBeforeMs: Date.now() - 60_000, expiresAtMs: Date.now() + 86_400_000 }
  const members = new Map([['fence.yaml', utf8(fence)]])
  const policyRevision = BigInt(revision)
  const manifest = await signManifest(makeManifest({ id: 'node', policyRevision, ...window }, members), author)
  const terms = { policyRevision, epoch: 1, channel: 'stable', audience: [config.audience], ...window }
  return { manifest, release: await signRelease(makeRelease(manifest, members, terms), release), members }
}

const { node } = await openAgentNode(around, config, { exclusive: true, backends: [backend] })
const made = { by: 'user:test', commandId: 'cmd-kill' }
const shown = (await observeAll(node.backends)).get(backend)?.live
const { live, next } = node.store.load()
const stood = await stand(node, inventory)
const first = await status(node)
const repaired = first.state === 'active' || first.state === 'closed' ? 'nothing' : (await repair(node)).kind
const now = await status(node)
const mark = markAt(join(config.stateDirectory, TRAIL_STATE[0])).read()
const chain = await verifyJournal(config.eventsFile, mark ? { mark } : {})
/** What the trail says of quarantines that is not so: one on record without its event, an event that is there twice, a lift untold. */
async function untrue() {
  const told = []
  for await (const { event } of events(config.eventsFile, { classes: [5019], workspace }))
    if (event.unmapped?.command_uid) told.push(`${event.disposition_id} ${event.unmapped.command_uid}`)
  const onRecord = node.store.quarantines()
  const flagged = now.workspaces.find((entry) => entry.workspace === workspace)?.flags.includes('quarantined')
  return [
    ...onRecord
      .filter(({ commandId }) => !told.includes(`3 ${commandId}`))
      .map(({ commandId }) => `untold ${commandId}`),
    ...told.filter((one, at) => told.indexOf(one) !== at).map((one) => `twice ${one}`),
    ...(onRecord.length === 0 && !flagged && told.at(-1)?.startsWith('3 ') ? ['its lift is untold'] : []),
  ]
}
const untold = await untrue()
say(
  JSON.stringify({
    untold,
    shown: shown ? shown.generation : null,
    recorded: [live?.generation ?? null, next?.generation ?? null],
    stood,
    repaired,
    state: now.state,
    revision: Number(now.live?.source.policyRevision ?? 0),
    fenced: now.workspaces.find((entry) => entry.workspace === workspace)?.flags.includes('quarantined') ?? false,
    events: chain.events,
    findings: chain.findings.map(({ kind, file, line, say: what }) => `${kind} ${file}:${line} ${what}`),
  }),
)
let revision = Number(now.live?.source.policyRevision ?? 0)
// A mark that was written with an intent that was undone forbids its number for other bytes.
revision = Math.max(revision, Number(node.store.load().mark?.revision ?? 0))
let fenced = now.workspaces.some(({ flags }) => flags.includes('quarantined'))
for (;;) {
  if (chance() < 0.5) {
    say(fenced ? 'lifting' : 'fencing')
    const kind = fenced ? 'quarantine-lift' : 'quarantine-set'
    const command = { kind, ...made, commandId: `cmd-${randomBytes(4).toString('hex')}`, workspace, reason: 'kill' }
    if (chance() < 0.5) {
      await fence(node, command)
      say('dying')
      process.kill(process.pid, 'SIGKILL')
    }
    await quarantine(node, command)
    fenced = !fenced
    say(fenced ? 'fenced' : 'lifted')
  }
  const bytes = await bundleOf(++revision)
  say(`applying ${revision}`)
  await admit(node, { kind: 'apply', ...made, fetch: async () => bytes, inventory, retry: true })
  say(`applied ${revision}`)
}
