// The process that a run of the bench measures in: src/bin/bench.ts starts it in network and mount namespaces of its own, so that
// whatever happens nothing of it is left on the machine. It is given its terms as one argument, tells what it measures as lines of
// JSON on its standard output, and stops when a line comes, or the end, on its standard input.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { adoptSha256 } from '../base/digest.js'
import { causeChain } from '../base/fault.js'
import { pathOf } from '../bench/generators.js'
import { openGround } from '../bench/ground.js'
import { runMatrix } from '../bench/run.js'
import type { Heard, WorkerTerms } from '../bench/told.js'
import { variantsOf } from '../bench/variants/all.js'

adoptSha256((bytes) => createHash('sha256').update(bytes).digest())
const tell = (line: Heard): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const stop = new AbortController()
process.stdin.on('data', () => stop.abort()).on('end', () => stop.abort())
// From a terminal the interrupt comes to everybody; who started this one says when to stop.
process.on('SIGINT', () => undefined)

const terms = JSON.parse(process.argv[2] ?? '{}') as WorkerTerms
try {
  // Pins of this run end with it.
  execFileSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf'])
  const ground = await openGround()
  try {
    const { scenes, seed, budgetMs, stateDirectory, only, after } = terms
    const variants = variantsOf(stateDirectory, Date.now, ground).filter(({ name }) => !only || only.includes(name))
    const ran = await runMatrix(pathOf(ground), variants, {
      scenes,
      seed,
      budgetMs,
      ...(after === undefined ? {} : { after }),
      signal: stop.signal,
      raw: (raw) => tell({ kind: 'raw', raw }),
      progress: (progress) => tell({ kind: 'progress', progress }),
      remark: (say) => tell({ kind: 'remark', say }),
      refused: (variant, why) => tell({ kind: 'refused', variant, why }),
      clock: () => performance.now(),
    })
    tell({ kind: 'ran', ran })
  } finally {
    await ground.close()
  }
} catch (error) {
  tell({ kind: 'failed', causes: causeChain(error) })
}
process.stdin.destroy()
