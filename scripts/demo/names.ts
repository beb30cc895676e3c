// The part of the demo with names: the same workspace under a policy of host names, a real resolver in the outside world, and
// `sluice mediate` between. What a name leads to opens when it is asked and not before; everything else stays shut; what
// was learnt runs out, which stops new connections and leaves live ones alone.

import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasUnbound, startResolver } from '../../test/support/dns/resolver.js'
import { OUT, UPLINK, WS } from '../../test/support/lab/addresses.js'
import type { Lab } from '../../test/support/lab/lab.js'
import { repositoryPath } from '../../test/support/lab/repository.js'
import { type Applying, apply } from './refusals.js'
import { progress, type Row } from './report.js'
import { FENCE, WORKSPACE } from './workshop.js'

const GROUP = 'names, through the mediator'
/** A learned grant of the shortest lifetime and its grace last 31 s. */
const EXPIRY_LIMIT_MS = 60_000

/** Section of agent.yaml. */
export const UPSTREAM = `\ndns:\n  upstreams: ["udp://${UPLINK.out.v4}"]\n`

const row = (probe: string, expected: string, observed: string, clause: string): Row => ({
  ...{ group: GROUP, probe, expected, observed, clause },
  ok: observed === expected,
})

/** Needs the workspace out of quarantine. Leaves a bundle of names live. */
export async function names(scene: Applying): Promise<Row[]> {
  const { lab, product, workshop } = scene
  if (!hasUnbound()) {
    progress('names: left out, because unbound and ldnsutils are not installed (`scripts/setup.sh tests` does)')
    return []
  }
  const resolver = await startResolver({
    namespace: lab.namespace('out'),
    address: UPLINK.out.v4,
    ...{ port: 53, dotPort: 8853, authorityPort: 5300 },
  })
  try {
    copyFileSync(repositoryPath('scripts/demo/names.yaml'), join(workshop.directory, 'names.yaml'))
    // A running agent was told where to ask when it began, and answers by itself.
    if (!scene.agentRuns) workshop.edit('agent.yaml', (text) => `${text}${UPSTREAM}`)
    const words = ['--from', 'names.yaml', '--out', 'names', '--workspace', WORKSPACE, '--name', 'names']
    await product.run('bundle', 'init', ...words)
    // Three names of the laboratory lead to one address: the author accepts that.
    workshop.edit(`names/${FENCE}`, (text) => text.replace(/^delegate:\n/m, 'delegate:\n  - shared-address\n'))
    await workshop.sign('names', 100)
    const applied = await apply(product, 'names')
    if (applied.exit !== 0)
      throw new Error(`apply: exit ${applied.exit}\n${JSON.stringify(applied.json, undefined, 2)}`)
    const mediator = scene.agentRuns
      ? undefined
      : await product.begin('listening on ', 'mediate', '--config', 'agent.yaml')
    try {
      return [...(await asked(scene)), ...(await runsOut(scene))]
    } finally {
      await mediator?.stop()
    }
  } finally {
    await resolver.close()
  }
}

async function asked({ lab, product }: Applying): Promise<Row[]> {
  const connect = async (host: string, port: number): Promise<string> =>
    (await lab.ws.tcp({ host, port, timeoutMs: 3000 })).outcome === 'connected' ? 'allowed' : 'refused'
  const explain = async (name: string): Promise<string> => {
    const { json } = await product.run('explain', '--workspace', WORKSPACE, '--name', name, '--config', 'agent.yaml')
    return String(json.connects)
  }
  const rows = [
    row('git.lab.example before anybody asked', 'refused', await connect(OUT.git, 443), 'no-grant'),
    row(
      'sluice explain --name git.lab.example:443',
      'once-resolved',
      await explain('git.lab.example:443'),
      'git_forge',
    ),
  ]
  rows.push(row('dig git.lab.example', 'NOERROR', await dig(lab, 'git.lab.example'), 'git_forge'))
  rows.push(row('HTTPS to what it said', 'allowed', await connect(OUT.git, 443), 'git_forge'))
  rows.push(row('another port of it', 'refused', await connect(OUT.git, 8080), 'no-grant'))
  rows.push(row('sluice explain --name git.lab.example:8080', 'no', await explain('git.lab.example:8080'), 'git_forge'))
  rows.push(row('dig unlisted.lab.example', 'REFUSED', await dig(lab, 'unlisted.lab.example'), 'not-granted'))
  rows.push(row('an address that no name led to', 'refused', await connect(OUT.unlisted, 443), 'no-grant'))
  rows.push(
    row('dig database.lab.example, which is private', 'SERVFAIL', await dig(lab, 'database.lab.example'), 'stripped'),
  )
  rows.push(row('the private address itself', 'refused', await connect(OUT.database, 5432), 'reserved'))
  return rows
}

/** The shortest grant there is: new connections end with it, a live one does not. */
async function runsOut({ lab }: Applying): Promise<Row[]> {
  await dig(lab, 'zero.lab.example')
  const { number } = await lab.ws.download({ host: OUT.git, port: 8080, rate: 20_000 })
  progress('waiting for a learned grant to run out, about 31 s')
  const deadline = performance.now() + EXPIRY_LIMIT_MS
  let fresh = 'allowed'
  while (fresh === 'allowed' && performance.now() < deadline) {
    await new Promise((done) => setTimeout(done, 500))
    fresh =
      (await lab.ws.tcp({ host: OUT.git, port: 8080, timeoutMs: 3000 })).outcome === 'connected' ? 'allowed' : 'refused'
  }
  const before = (await lab.ws.downloads([number]))[0]?.bytes ?? 0
  await new Promise((done) => setTimeout(done, 1000))
  const [after] = await lab.ws.downloads([number])
  const live = after?.state === 'open' && after.bytes > before ? 'goes on' : 'ended'
  await lab.ws.stopDownload([number])
  return [
    row('a new connection once the grant ran out', 'refused', fresh, 'no-grant'),
    row('a download that began before', 'goes on', live, 'short_lived'),
  ]
}

async function dig(lab: Lab, name: string): Promise<string> {
  const { stdout } = await lab.exec('ws', ['dig', '+tries=1', '+time=6', `@${WS.gateway4}`, name])
  return /status: (\w+)/.exec(stdout)?.[1] ?? 'no answer'
}
