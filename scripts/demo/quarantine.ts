// Quarantine under load: many downloads run, the command is given, and the workspace's own interface is watched for the last
// octet of payload that arrives. Then nothing passes, neighbour discovery included, until the quarantine is lifted; and what
// was cut stays cut.

import { OUT, WS } from '../../test/support/lab/addresses.js'
import { textAt } from './product.js'
import type { Applying } from './refusals.js'
import type { Row } from './report.js'
import { segmentOf } from './tcp-flow.js'
import { because, either } from './terms.js'
import { WORKSPACE } from './workshop.js'

const GROUP = 'quarantine, under load'
const FLOWS = 100
const RATE = 20_000
/** Retransmissions after a few seconds of silence are at most so far apart (RFC 6298 section 5.5). */
const COMEBACK_MS = 20_000

export interface QuarantineTimes {
  readonly flows: number
  /** From accepting the command to the last octet of payload at the workspace's interface. */
  readonly acceptedToLastByteMs: number
  /** The same from the start of the command's process. */
  readonly startToLastByteMs: number
  /** What the product says: from accepting the command to the fence read back. */
  readonly acceptedToFencedMs: number
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
const nowMs = (): number => performance.timeOrigin + performance.now()

export async function quarantine(scene: Applying): Promise<{ rows: Row[]; times: QuarantineTimes }> {
  const { lab, product, terms } = scene
  const row = (probe: string, expected: string, observed: string, clause: string): Row => {
    return { group: GROUP, probe, expected, observed, clause, ok: expected === observed }
  }
  const load = await lab.station('ws')
  const flows: number[] = []
  for (let i = 0; i < FLOWS; i++)
    flows.push((await load.download({ host: i % 2 ? OUT.git : OUT.registry, port: 443, rate: RATE })).number)
  const open = async (): Promise<number> => (await load.downloads(flows)).filter((flow) => flow.state === 'open').length
  const before = await open()
  const wire = await lab.sniff('ws', WS.inside, 90)
  await pause(300)

  const startMs = nowMs()
  const set = await product.run('quarantine', 'set', WORKSPACE, '--reason', 'demo', '--config', 'agent.yaml')
  await pause(500)
  await wire.settle(50, 500)
  const payload = wire.frames
    .filter((frame) => frame.way === 'in')
    .map(segmentOf)
    .filter((segment) => segment !== undefined && segment.payload > 0)
  const lastMs = payload.at(-1)?.atMs ?? Number.NaN
  const times = {
    flows: before,
    acceptedToLastByteMs: lastMs - (await acceptedMs(scene)),
    startToLastByteMs: lastMs - startMs,
    acceptedToFencedMs: Number(textAt(set.json, 'elapsedMs')),
  }
  await wire.close()
  const quiet = nowMs() - lastMs > 400
  const rows = [
    row(
      `${FLOWS} downloads`,
      'cut',
      before === FLOWS && quiet ? 'cut' : `${before} were open, not all cut`,
      'quarantined',
    ),
  ]
  const silent = async (probe: string, outcome: Promise<{ outcome: string }>): Promise<void> => {
    const got = (await outcome).outcome
    rows.push(row(probe, 'dropped', got === 'timeout' ? 'dropped' : got, 'quarantined'))
  }
  await silent('a granted name', lab.ws.tcp({ host: OUT.git, port: 443, timeoutMs: 800 }))
  await silent('granted UDP', lab.ws.udp({ host: OUT.registry, port: 5000 }))
  await silent('granted echo, IPv6', lab.ping('ws', OUT.git6))
  await silent('granted ingress', lab.out.tcp({ host: WS.v4, port: 22, localAddress: OUT.broker, timeoutMs: 800 }))
  rows.push(row('the gateway, by ARP', 'dropped', await arpAnswered(scene), 'quarantined'))
  const lifted = await product.run('quarantine', 'lift', WORKSPACE, '--reason', 'demo', '--config', 'agent.yaml')
  const again = await lab.ws.tcp({ host: OUT.git, port: 22, say: 'hello' })
  rows.push(
    row(
      'a granted name after the lift',
      'allowed',
      again.outcome === 'connected' ? 'allowed' : again.outcome,
      'git_forge',
    ),
  )
  const since = nowMs()
  await pause(700)
  const revived = async (): Promise<number> =>
    (await load.downloads(flows)).filter((flow) => flow.lastByteMs > since).length
  const comeback = either(terms.stateless, 'stay cut', 'go on', 'flowState: none')
  const end = since + COMEBACK_MS
  if (terms.stateless) while ((await revived()) < before && nowMs() < end) await pause(100)
  const back = await revived()
  rows.push(
    row(
      'the cut downloads after the lift',
      comeback.expect,
      back === 0 ? 'stay cut' : back === before ? 'go on' : `${back} revived`,
      because(textAt(lifted.json, 'state'), comeback),
    ),
  )
  await load.close()
  return { rows, times }
}

/** When the product accepted the command, as its record says. */
async function acceptedMs({ product }: Applying): Promise<number> {
  const { json } = await product.run('status', '--config', 'agent.yaml')
  const [entry] = json.quarantines as readonly { readonly atMs: number }[]
  if (!entry) throw new Error('status knows no quarantine')
  return entry.atMs
}

/** Forgets the gateway and asks for it anew. */
async function arpAnswered({ lab }: Applying): Promise<string> {
  await lab.exec('ws', ['ip', 'neigh', 'flush', 'dev', WS.inside])
  await lab.ping('ws', WS.gateway4, { timeoutMs: 500 })
  const { stdout } = await lab.exec('ws', ['ip', 'neigh', 'show', WS.gateway4, 'dev', WS.inside])
  return stdout.includes(WS.gatewayMac) ? 'answered' : 'dropped'
}
