// Runs that were never made: repetitions drawn around known rates with seeded noise, put together as a real run's are.

import { assemble, type Raw } from '../../../src/bench/assemble.js'
import { judgePromises } from '../../../src/bench/promises.js'
import {
  type BenchSeen,
  type Question,
  RESULTS_FORMAT,
  type Results,
  type VariantSeen,
} from '../../../src/bench/results.js'
import { chance } from '../../../src/bench/statistics.js'

export const VARIANTS: readonly VariantSeen[] = (
  [
    ['none', 'baseline'],
    ['empty', 'reference'],
    ['hand', 'peer'],
    ['nftables', 'fence'],
    ['ebpf', 'fence'],
  ] as const
).map(([name, role]) => ({ name, say: name, role, emulated: false, state: 'measured' }))

export interface Drawn {
  readonly seed: number
  readonly rounds?: number
  /** Of each repetition, as a share. */
  readonly noise?: number
  /** Of each round, the same for all variants: another program that comes and goes. */
  readonly weather?: number
  /** Rate of a variant in a question; 1 when nothing is said. */
  readonly rate?: (variant: string, question: Question) => number
  readonly grants?: readonly number[]
  readonly benches?: readonly BenchSeen[]
}

const QUESTIONS = ['tcp-stream', 'tcp-crr', 'packets', 'tcp-rr'] as const

export function drawnRun(drawn: Drawn): Results {
  const { seed, rounds = 7, noise = 0.015, weather = 0, rate = () => 1, grants = [1_000], benches = [] } = drawn
  const random = chance(seed)
  const about = (share: number): number => 1 + share * (random() + random() + random() - 1.5)
  const raws: Raw[] = []
  for (const count of grants)
    for (let round = 0; round < rounds; round++) {
      const busy = about(weather)
      for (const [position, { name }] of VARIANTS.entries())
        for (const question of QUESTIONS) {
          const common = { question, family: 'ipv4' as const, flows: 8, grants: count, workspaces: 1, variant: name }
          const value = 10_000 * rate(name, question) * busy * about(noise)
          raws.push({ ...common, round, position, value, commands: [] })
        }
    }
  const measurements = assemble(raws, VARIANTS, { confidence: 0.95, seed })
  return {
    format: RESULTS_FORMAT,
    run: {
      kind: 'quick',
      command: 'sluice bench --quick',
      version: '0.1.0',
      commit: null,
      dirty: false,
      startedAt: '2026-11-21T17:00:00Z',
      tookSeconds: 1,
      budgetSeconds: 180,
      seed,
      confidence: 0.95,
      complete: true,
    },
    machine: {
      name: 'bench.example',
      cpu: 'a processor',
      cpus: 2,
      memoryMiB: 4_096,
      kernel: '6.18.0',
      architecture: 'x64',
      virtual: 'none',
      versions: {},
      loadBefore: 0,
      loadAfter: 0,
      stolen: 0,
    },
    policy: { digests: [], say: 'none' },
    variants: VARIANTS,
    measurements,
    benches,
    promises: judgePromises(measurements, benches, VARIANTS),
  }
}
