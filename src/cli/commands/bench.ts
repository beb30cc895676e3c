// `sluice bench`: measures what the fence costs on this machine, in namespaces of its own, and leaves results.json and report.html in a
// folder. Interrupted, it leaves what it has measured until then, marked as incomplete where something that it asks is missing. Its exit
// code is 0 whatever the figures say: tests time nothing, and whoever wants a gate has `sluice bench compare`. Between two machines one
// answers (--server) and the other measures (--client); nobody is authenticated, so the one that answers names the address whom it answers.

import { join } from 'node:path'
import { InvalidArgumentError, Option } from 'commander'
import { type Progress, printResults, progressLine } from '../../bench/terminal.js'
import { formatInstant } from '../../bundle/instant.js'
import { cliFault } from '../errors.js'
import { writeFile } from '../files.js'
import { type Context, collect, counting, type Declared } from '../frame.js'
import type { Host } from '../host.js'
import { type Outcome, printJson } from '../outcome.js'
import { shown } from '../print.js'

/** Where no terminal says otherwise. */
const COLUMNS = 100
const LOGGED_MS = 60_000

export const benchRun: Declared = {
  usage: 'run',
  summary: 'measure what the fence costs on this machine, against nothing and against rules by hand',
  examples: [
    'sluice bench --quick',
    'sluice bench --only ebpf,tcp-crr --out figures',
    'sluice bench --server 10.0.0.2 --peer 10.0.0.1',
    'sluice bench --client 10.0.0.2 --label doca-card',
  ],
  isDefault: true,
  declare: (command) =>
    command
      .option('--quick', 'end within 3 minutes instead of 60: fewer questions, the same rules')
      .option('--only <names>', 'variants, questions and files of bench/, separated by commas', collect, [])
      .option('--out <dir>', 'where results.json and report.html go; a new folder here when absent')
      .option('--seed <n>', 'of the order of variants and of the resampling', counting, 1)
      .addOption(
        // Between machines everything is asked, of what stands there.
        new Option(
          '--client <address>',
          'measure towards a machine that answers, with whatever stands between',
        ).conflicts('only'),
      )
      .option('--label <name>', 'with --client: what stands between, as the results call it', labelled, 'path')
      .addOption(
        new Option('--server <address>', 'answer another machine on this address, until interrupted').conflicts([
          'only',
          'client',
        ]),
      )
      .option('--peer <address>', 'with --server: the one address that is answered')
      .option('--port <n>', 'with --client and --server: the first of four', counting, 7_000),
  run: async (context, _positional, options) => {
    const given = options as unknown as Given
    const { quick = false, only, out, seed, client, server, port, label } = given
    const { host } = context
    if (server !== undefined) return await serve(context, server, given)
    const words = [
      'sluice bench',
      ...(quick ? ['--quick'] : []),
      ...(only.length > 0 ? [`--only ${only.join(',')}`] : []),
      ...(client === undefined ? [] : [`--client ${client} --port ${port} --label ${label}`]),
    ]
    const request = {
      quick,
      only,
      seed,
      command: [...words, `--seed ${seed}`].join(' '),
      signal: host.interrupted(undefined),
      progress: telling(host),
    }
    const results = await (client === undefined
      ? host.bench.run(request)
      : host.bench.client({ ...request, client: { address: client, port, label } }))
    if (host.colour) host.writeError('\r\u001b[K')
    const folder = out ?? `sluice-bench-${formatInstant(host.nowMs()).replace(/[^0-9TZ]/g, '')}`
    writeFile(host, join(folder, 'results.json'), printJson(results), { replace: out !== undefined })
    writeFile(host, join(folder, 'report.html'), host.bench.report(results), { replace: out !== undefined })
    const left = `\n${join(folder, 'report.html')}, ${join(folder, 'results.json')}\n`
    return { json: results, text: `${printResults(results, context.paint)}${left}`, ...remarksOf(context, results.run) }
  },
}

/** On a terminal one line, written over; in a log one a minute. */
function telling(host: Host): (progress: Progress) => void {
  let nextMs = 0
  return (progress) => {
    const line = progressLine(progress, COLUMNS)
    if (host.colour) host.writeError(`\r\u001b[K${line}`)
    else if (host.nowMs() >= nextMs) {
      nextMs = host.nowMs() + LOGGED_MS
      host.writeError(`${line}\n`)
    }
  }
}

interface Given {
  readonly quick?: boolean
  readonly only: string[]
  readonly out?: string
  readonly seed: number
  readonly client?: string
  readonly server?: string
  readonly peer?: string
  readonly port: number
  readonly label: string
}

/** A name as those of variants are, so that it can stand in tables, plots and commands. */
function labelled(value: string): string {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(value))
    throw new InvalidArgumentError('Expected up to 32 small letters, digits and hyphens, a letter first.')
  return value
}

async function serve({ host, paint }: Context, address: string, { peer, port }: Given): Promise<Outcome> {
  if (peer === undefined) throw cliFault('CLI_BENCH_PEER', { address })
  const signal = host.interrupted(undefined)
  const ready = (): void => {
    host.writeError(
      `${paint('green', 'answering')} ${shown(peer)} at ${shown(address)}, ports ${port} to ${port + 3}\n`,
    )
  }
  await host.bench.serve({ address, peer, port, signal, ready })
  return { json: { address, peer, port }, text: '' }
}

function remarksOf({ paint }: Context, { complete, why }: { complete: boolean; why?: string }) {
  return complete ? {} : { remarks: `${paint('yellow', 'not complete')}: ${why ?? 'it was stopped'}\n` }
}
