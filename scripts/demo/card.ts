// The part of `BACKEND=doca` that is about the card: once every probe has passed without a fence, the enforcement node becomes a
// DPU with a software BlueField between its cables (test/support/lab/card.ts). The agent runs as a process of its own, because
// the pipes go with the process that has the card; then the card is reset under it, and it is killed.

import { OUT } from '../../test/support/lab/addresses.js'
import { FUNCTIONS, insertCard, resetCard } from '../../test/support/lab/card.js'
import type { Lab } from '../../test/support/lab/lab.js'
import { type Begun, type Product, textAt } from './product.js'
import { progress, type Row } from './report.js'

const REBUILD_LIMIT_MS = 30_000

const [FUNCTION] = FUNCTIONS
export const CARD_SLOT = `{ kind: representor, interface: ${FUNCTION.representor}, vuid: ${FUNCTION.vuid} }`
/** What answers the workspace. */
export const CARD_GATEWAY = FUNCTION.representor

export class Card {
  private agent: Begun | undefined

  constructor(
    private readonly lab: Lab,
    private readonly product: Product,
  ) {}

  async insert(): Promise<void> {
    await insertCard(this.lab)
    progress('the node is a DPU now: a software BlueField between its cables; everything that follows is emulated')
  }

  async start(): Promise<void> {
    this.agent = await this.product.begin(' stands ', 'agent', '--config', 'agent.yaml')
  }

  async stop(): Promise<void> {
    await this.agent?.stop()
    this.agent = undefined
  }

  /** SIGKILL: the card has lost its owner. Nothing passes until another one has built everything anew. */
  async killed(): Promise<Row[]> {
    const { ws } = this.lab
    const { number } = await ws.download({ host: OUT.git, port: 443, rate: 200_000 })
    await this.bytes(number, 1)
    await this.agent?.kill()
    const dark = performance.now()
    const stopped = await this.bytes(number)
    const rows = [
      row(KILLED, 'a granted name', 'dropped', await this.reach(OUT.git), 'no agent, no pipes'),
      row(KILLED, 'an address that is not granted', 'dropped', await this.reach(OUT.unlisted), 'no agent, no pipes'),
      row(
        KILLED,
        'a download that ran',
        'stands still',
        (await this.bytes(number)) === stopped ? 'stands still' : 'goes on',
        '',
      ),
    ]
    await this.start()
    rows.push(row(KILLED, 'a granted name, once the agent is back', 'allowed', await this.again(), 'git_forge'))
    progress(`the agent was killed: no traffic for ${(performance.now() - dark).toFixed(0)} ms, probes included`)
    rows.push(
      row(KILLED, 'an address that is not granted, then', 'dropped', await this.reach(OUT.unlisted), 'no-grant'),
      row(
        KILLED,
        'status',
        'active',
        textAt((await this.product.run('status', '--config', 'agent.yaml')).json, 'state'),
        '',
      ),
    )
    await ws.stopDownload([number])
    return rows
  }

  /** The card forgets everything under a running agent, which finds out and rebuilds it. */
  async reset(): Promise<Row[]> {
    await resetCard(this.lab)
    const dark = performance.now()
    const closed = await this.reach(OUT.unlisted)
    const back = await this.again()
    progress(`the card was reset: traffic again after ${(performance.now() - dark).toFixed(0)} ms at most`)
    return [
      row(RESET, 'an address that is not granted', 'dropped', closed, 'the card is empty'),
      row(RESET, 'a granted name, once the agent has rebuilt', 'allowed', back, 'git_forge'),
      row(RESET, 'an address that is not granted, then', 'dropped', await this.reach(OUT.unlisted), 'no-grant'),
    ]
  }

  private async reach(host: string): Promise<string> {
    const got = await this.lab.ws.tcp({ host, port: 443, timeoutMs: 800 })
    return got.outcome === 'connected' ? 'allowed' : got.outcome === 'timeout' ? 'dropped' : got.outcome
  }

  /** Asks until a granted address answers again. */
  private async again(): Promise<string> {
    const end = performance.now() + REBUILD_LIMIT_MS
    let said = await this.reach(OUT.git)
    while (said !== 'allowed' && performance.now() < end) said = await this.reach(OUT.git)
    return said
  }

  /** Octets that a download has brought; waits until there are as many as wanted. */
  private async bytes(number: number, wanted = 0): Promise<number> {
    const end = performance.now() + REBUILD_LIMIT_MS
    for (;;) {
      const got = (await this.lab.ws.downloads([number]))[0]?.bytes ?? 0
      if (got >= wanted || performance.now() > end) return got
    }
  }
}

const KILLED = 'the agent is killed (card emulated)'
const RESET = 'the card is reset (card emulated)'

const row = (group: string, probe: string, expected: string, observed: string, clause: string): Row => ({
  ...{ group, probe, expected, observed, clause },
  ok: expected === observed,
})
