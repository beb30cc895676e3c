// `sluice watch`: what the fence refuses and lets through, as it happens, and the same into the trail. A line a fact; with
// --json a line of JSON each. It ends with Ctrl-C or after --for.

import { quote } from '../../base/quote.js'
import { counting, type Declared } from '../frame.js'
import type { Watched } from '../host.js'
import { withNode } from '../node.js'
import type { Outcome } from '../outcome.js'
import type { Paint } from '../print.js'

export const watchCommand: Declared = {
  usage: 'watch',
  summary: 'show refused and allowed traffic as it happens, and put it into the trail',
  examples: ['sluice watch', 'sluice watch --for 60 --json'],
  declare: (command) =>
    command
      .option('--config <file>', 'agent.yaml of this node')
      .option('--for <seconds>', 'end after that long; with Ctrl-C otherwise', counting),
  run: async (context, _positional, options) => {
    const { config, for: seconds, json } = options as { config?: string; for?: number; json?: boolean }
    const { host, paint } = context
    const signal = host.interrupted(seconds === undefined ? undefined : seconds * 1_000)
    let seen = 0
    const tell = (facts: readonly Watched[]): void => {
      seen += facts.length
      for (const fact of facts) host.write(json ? `${JSON.stringify(fact)}\n` : line(fact, paint))
    }
    const look = (): Promise<Outcome> =>
      withNode(context, { config, exclusive: false }, async (node) => {
        await node.watch(signal, tell)
        return { json: undefined, text: `${seen} facts\n`, streamed: true }
      })
    let outcome = await look()
    // Another generation became live: its plan names other clauses, so the node is opened again.
    while (!signal.aborted) outcome = await look()
    return outcome
  },
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' }

function line(fact: Watched, paint: Paint): string {
  const at = new Date(fact.atMs).toISOString().slice(11, 23)
  if (fact.kind === 'audit-lost') return `${at} ${paint('red', 'lost')} ${fact.lost} refusals could not be reported\n`
  if (fact.kind === 'file-denied') {
    const [who, path] = [fact.workspace.workspace, fact.path].map((text) => quote(text, 200).slice(1, -1))
    const times = fact.count > 1 ? ` (${fact.count} times)` : ''
    return `${at} ${paint('red', 'denied')} ${who} ${fact.operation} ${fact.volume}:${path}: ${fact.reason}${times}\n`
  }
  const { flow, workspace } = fact
  const end = (address: string, port: number | undefined): string =>
    port === undefined ? address : `${address.includes(':') ? `[${address}]` : address}:${port}`
  const tuple = `${PROTOCOLS[flow.protocol] ?? flow.protocol} ${end(flow.source, flow.sourcePort)} > ${end(flow.destination, flow.destinationPort)}`
  const who = quote(workspace.workspace, 200).slice(1, -1)
  if (fact.kind === 'flow-observed')
    return `${at} ${paint('yellow', 'observed')} ${who} ${tuple}: would be denied, ${fact.reason}${fact.count > 1 ? ` (${fact.count} times)` : ''}\n`
  return fact.kind === 'flow-denied'
    ? `${at} ${paint('red', 'denied')} ${who} ${tuple}: ${fact.reason}${fact.count > 1 ? ` (${fact.count} times)` : ''}\n`
    : `${at} ${paint('green', 'allowed')} ${who} ${tuple}: ${fact.clauseName}, ${fact.traffic?.packets ?? 1} packets\n`
}
