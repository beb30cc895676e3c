// `sluice bench`: measures what the fence costs on this machine, in namespaces of its own, and leaves results.json and report.html
// in a folder. Interrupted, it leaves what it has measured until then, marked as incomplete. Its exit code is 0 whatever the
// figures say: tests time nothing, and whoever wants a gate has `sluice bench compare`.

import { join } from 'node:path'
import { printResults, progressLine } from '../../bench/terminal.js'
import { formatInstant } from '../../bundle/instant.js'
import { writeFile } from '../files.js'
import { type Context, collect, counting, type Declared } from '../frame.js'
import { printJson } from '../outcome.js'

/** Where no terminal says otherwise. */
const COLUMNS = 100

export const benchRun: Declared = {
  usage: 'run',
  summary: 'measure what the fence costs on this machine, against nothing and against rules by hand',
  examples: [
    'sluice bench --quick',
    'sluice bench --only ebpf,tcp-crr --out figures',
    'sluice bench --json > results.json',
  ],
  isDefault: true,
  declare: (command) =>
    command
      .option('--quick', 'end within 3 minutes instead of an hour: fewer questions, the same rules')
      .option('--only <names>', 'variants, questions and files of bench/, separated by commas', collect, [])
      .option('--out <dir>', 'where results.json and report.html go; a new folder here when absent')
      .option('--seed <n>', 'of the order of variants and of the resampling', counting, 1),
  run: async (context, _positional, options) => {
    const {
      quick = false,
      only,
      out,
      seed,
    } = options as { quick?: boolean; only: string[]; out?: string; seed: number }
    const { host } = context
    const words = [
      'sluice bench',
      ...(quick ? ['--quick'] : []),
      ...(only.length > 0 ? [`--only ${only.join(',')}`] : []),
    ]
    const results = await host.bench.run({
      quick,
      only,
      seed,
      command: [...words, `--seed ${seed}`].join(' '),
      signal: host.interrupted(undefined),
      progress: (progress) => {
        if (host.colour) host.writeError(`\r\u001b[K${progressLine(progress, COLUMNS)}`)
      },
    })
    if (host.colour) host.writeError('\r\u001b[K')
    const folder = out ?? `sluice-bench-${formatInstant(host.nowMs()).replace(/[^0-9TZ]/g, '')}`
    writeFile(host, join(folder, 'results.json'), printJson(results), { replace: out !== undefined })
    writeFile(host, join(folder, 'report.html'), host.bench.report(results), { replace: out !== undefined })
    const left = `\n${join(folder, 'report.html')}, ${join(folder, 'results.json')}\n`
    return { json: results, text: `${printResults(results, context.paint)}${left}`, ...remarksOf(context, results.run) }
  },
}

function remarksOf({ paint }: Context, { complete, why }: { complete: boolean; why?: string }) {
  return complete ? {} : { remarks: `${paint('yellow', 'not complete')}: ${why ?? 'it was stopped'}\n` }
}
