// What a run may take, and what is kept for the files of bench/ while the matrix is measured: the sum of what they take, so that a file
// is never left out because the matrix took its time. What still finds no time is left out whole, and said so (run.ts, outside.ts).

export interface BenchFile {
  readonly name: string
  /** On a machine of two cores, with a little to spare: from an hour in which nothing else ran. */
  readonly seconds: number
  readonly emulated?: true
  /** What its environment says beside: sizes that the matrix does not measure again. */
  readonly env?: Readonly<Record<string, string>>
}

/** In order of importance: what has no time left is at the end. */
export const FULL_FILES: readonly BenchFile[] = [
  { name: 'quarantine', seconds: 52 },
  { name: 'quarantine-grpc', seconds: 78 },
  { name: 'revocation', seconds: 55 },
  { name: 'learn', seconds: 4 },
  { name: 'flood', seconds: 45 },
  { name: 'journal', seconds: 10 },
  { name: 'dns', seconds: 60 },
  { name: 'change', seconds: 40 },
  { name: 'decide', seconds: 30 },
  { name: 'agent', seconds: 175 },
  { name: 'attach', seconds: 25 },
  { name: 'nftables', seconds: 130, env: { BENCH_GRANTS: '100000' } },
  { name: 'dataplane', seconds: 65 },
  { name: 'verify', seconds: 70 },
  { name: 'storage', seconds: 130 },
  { name: 'agent-memory', seconds: 165 },
  { name: 'journal-verify', seconds: 30 },
  { name: 'sinks', seconds: 90, env: { SLUICE_SINK_EVENTS: '150000' } },
  { name: 'doca', seconds: 40, emulated: true },
]

export const QUICK_FILES: readonly BenchFile[] = [
  { name: 'learn', seconds: 4 },
  { name: 'quarantine', seconds: 17, env: { BENCH_ROUNDS: '120' } },
  { name: 'flood', seconds: 25, env: { FLOOD_MS: '300' } },
]

export const BUDGET_MS = { quick: 180_000, full: 3_600_000 } as const

export const millisecondsOf = (files: readonly BenchFile[]): number =>
  files.reduce((sum, { seconds }) => sum + seconds * 1_000, 0)

/** Those that find time when nothing else takes any, in order; for the others none is kept, since they are left out anyway. */
export function fitting(files: readonly BenchFile[], budgetMs: number): readonly BenchFile[] {
  let leftMs = budgetMs
  return files.filter((file) => {
    const fits = millisecondsOf([file]) <= leftMs
    if (fits) leftMs -= millisecondsOf([file])
    return fits
  })
}
