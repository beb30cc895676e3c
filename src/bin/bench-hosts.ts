// The bench between real machines: one answers, bound to an address and for one peer alone, the other measures what stands between
// them as it is and puts nothing in place. Nobody is authenticated, and what is served are octets of no meaning and how busy the machine
// is; whoever can take the peer's address can use up bandwidth, so it is for a network of one's own and ends with Ctrl-C.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { answering } from '../bench/answering.js'
import type { Raw } from '../bench/assemble.js'
import { benchFault } from '../bench/errors.js'
import { LEAST_REPETITIONS } from '../bench/figure.js'
import { measure } from '../bench/generators.js'
import { GENERATOR } from '../bench/ground.js'
import { atWork, cpuSeconds } from '../bench/machine.js'
import { HOSTS } from '../bench/matrix.js'
import type { Results } from '../bench/results.js'
import { runMatrix } from '../bench/run.js'
import type { Variant } from '../bench/variants/variant.js'
import type { BenchRequest, Labelled, ServeRequest } from '../cli/host-bench.js'
import { around, resultsOf } from './bench.js'

const BUDGET_MS = 600_000
const LOOK_MS = 500
const QUICKER = 4

/** Answers until the signal is aborted. Throws BENCH_GROUND where the address is not to be had. */
export async function serveBench({ address, peer, port, signal, ready }: ServeRequest): Promise<void> {
  needGenerator()
  const child = spawn(GENERATOR, ['serve', address, String(port), peer], { stdio: ['pipe', 'pipe', 'pipe'] })
  const stop = (): void => {
    child.stdin.end()
  }
  signal.addEventListener('abort', stop)
  let why = ''
  child.stderr.on('data', (text: Buffer) => {
    why += text.toString()
  })
  child.stdout.once('data', ready)
  await once(child, 'close')
  signal.removeEventListener('abort', stop)
  if (child.exitCode !== 0) throw benchFault('BENCH_GROUND', { why: why.trim() })
}

/** Measures towards a machine that answers. Throws BENCH_PEER when it does not. */
export async function measureHosts(
  request: BenchRequest & { readonly client: Labelled },
  version: string,
  nowMs: () => number,
): Promise<Results> {
  needGenerator()
  const { address, port, label } = request.client
  const family = address.includes(':') ? ('ipv6' as const) : ('ipv4' as const)
  const there = (): ReturnType<typeof answering> => answering(address, port)
  const path = { client: [], pinned: [], address: () => address, port, there }
  // A server that answers somebody else takes connections, and closes them; one of another release may not say how it fares.
  await there()
  const look = await measure(path, HOSTS, { question: 'tcp-rr', family, flows: 1, ms: LOOK_MS })
  if (look.value === 0) throw benchFault('BENCH_PEER', { address, port })
  const probes = HOSTS.probes.map((probe) => ({ ...probe, family, ms: request.quick ? probe.ms / QUICKER : probe.ms }))
  const scene = { ...HOSTS, probes, rounds: request.quick ? LEAST_REPETITIONS : HOSTS.rounds }
  const loadBefore = await atWork()
  const [began, startedAtMs, before] = [performance.now(), nowMs(), cpuSeconds()]
  const raws: Raw[] = []
  const remarks: string[] = []
  const ran = await runMatrix(path, [standing(address, label)], {
    scenes: [scene],
    seed: request.seed,
    budgetMs: BUDGET_MS,
    signal: request.signal,
    raw: (raw) => raws.push(raw),
    progress: request.progress,
    remark: (say) => remarks.push(say),
    // Nobody knows what the path should let through.
    refused: () => undefined,
    clock: () => performance.now(),
  })
  return resultsOf(
    request,
    { kind: 'hosts', scenes: [], budgetMs: BUDGET_MS },
    { raws, ran, remarks, benches: [], version, startedAtMs, tookSeconds: (performance.now() - began) / 1_000 },
    around(loadBefore, before),
  )
}

function needGenerator(): void {
  if (!existsSync(GENERATOR)) throw benchFault('BENCH_GROUND', { why: 'build/native/sluice-load is not there' })
}

/** Counts as ours in a comparison: it is what somebody changes between two runs. */
const standing = (address: string, label: string): Variant => ({
  name: label,
  say: `what stands between this machine and ${address}`,
  role: 'fence',
  emulated: false,
  absent: () => Promise.resolve(undefined),
  put: () => Promise.resolve({ lift: () => Promise.resolve() }),
})
