// `sluice bench` in this process: starts the process that measures in namespaces of its own, gathers what it tells, runs the files of
// bench/ in the time that is left and, in one more such process, further rounds in what is left then, and puts the results together. A
// run that is interrupted, or whose process dies, gives what was measured until then, marked as incomplete unless only further rounds
// were cut.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { causeChain } from '../base/fault.js'
import { assemble, type Raw } from '../bench/assemble.js'
import { type BenchFile, BUDGET_MS, FULL_FILES, fitting, millisecondsOf, QUICK_FILES } from '../bench/budget.js'
import { benchFault } from '../bench/errors.js'
import { GENERATOR } from '../bench/ground.js'
import { atWork, commit, cpuSeconds, load, machine, room } from '../bench/machine.js'
import { FULL, QUICK, type Scene } from '../bench/matrix.js'
import { runOutside, unfinished } from '../bench/outside.js'
import { judgePromises } from '../bench/promises.js'
import { type BenchSeen, RESULTS_FORMAT, type Results, type Run, type VariantSeen } from '../bench/results.js'
import type { Ran } from '../bench/run.js'
import { furtherThatFit, guess, withMoreRounds } from '../bench/schedule.js'
import { digestOf } from '../bench/setting.js'
import { asking } from '../bench/standing.js'
import type { Progress } from '../bench/terminal.js'
import type { Heard, WorkerTerms } from '../bench/told.js'
import { variantsOf } from '../bench/variants/all.js'
import { ruleset } from '../bench/variants/hand.js'
import { formatInstant } from '../bundle/instant.js'
import type { BenchRequest } from '../cli/host-bench.js'

const WORKER = fileURLToPath(new URL('./bench-worker.js', import.meta.url))
export const CONFIDENCE = 0.95
/** For putting the results together and writing them. */
const RESULTS_MS = 60_000
/** Few enough to be read. */
const SHOWN = { grants: 10, workspaces: 1 } as const

/** What --only left of everything. */
interface Chosen {
  readonly kind: Run['kind']
  readonly scenes: readonly Scene[]
  readonly variants?: readonly string[]
  readonly files: readonly BenchFile[]
}

/** Throws BENCH_NOTHING, BENCH_GROUND. */
export async function benchHere(request: BenchRequest, version: string, nowMs: () => number): Promise<Results> {
  const wanted = choose(request)
  const { scenes, remarks } = asking(wanted.scenes, room())
  const chosen = { ...wanted, scenes }
  const pace = request.quick ? 'quick' : 'full'
  const budgetMs = BUDGET_MS[pace]
  const began = performance.now()
  const startedAtMs = nowMs()
  const loadBefore = await atWork()
  const before = cpuSeconds()
  const leftMs = (): number => budgetMs - (performance.now() - began)
  const filesMs = millisecondsOf(fitting(chosen.files, budgetMs))
  // Of the whole run: what the matrix says is left is its own, and the files come after it; what is left goes to further rounds.
  const tell = (of: Omit<Progress, 'done'>, laterMs: number, toTheEnd: boolean): void => {
    const done = (performance.now() - began) / 1_000
    const leftSeconds = toTheEnd ? Math.max(0, leftMs() - RESULTS_MS) / 1_000 : of.leftSeconds + laterMs / 1_000
    request.progress({ ...of, done: done / (done + leftSeconds), leftSeconds })
  }
  const toTheEnd = chosen.kind === 'full'
  const measured =
    chosen.scenes.length === 0
      ? { raws: [], ran: { variants: [], complete: true }, remarks: [] }
      : await runWorker(chosen, { ...request, progress: (of) => tell(of, filesMs, toTheEnd) }, budgetMs - filesMs)
  const goes = goesOn(chosen, measured) !== undefined
  const benches = await runOutside(chosen.files, {
    leftMs,
    signal: request.signal,
    progress: (say, leftSeconds) => tell({ say, leftSeconds }, 0, goes),
  })
  const further = { ...request, progress: (of: Progress) => tell(of, 0, false) }
  const gone = await goneOn(chosen, measured, further, leftMs() - RESULTS_MS)
  const end = { tookSeconds: (performance.now() - began) / 1_000, startedAtMs, version }
  return resultsOf(
    request,
    { ...chosen, budgetMs },
    { ...gone, remarks: [...remarks, ...gone.remarks], benches, ...end },
    around(loadBefore, before),
  )
}

/** The scene that further rounds are made of, where the matrix of a whole run has all that it asks and time is left: files of bench/ take
 * less than is kept for them, and how much less depends on the machine. */
export function goesOn({ kind, scenes }: Pick<Chosen, 'kind' | 'scenes'>, { raws, ran }: Gathered): Scene | undefined {
  if (kind !== 'full' || !ran.complete) return undefined
  return scenes.find(
    ({ further, grants, workspaces, rounds }) =>
      further === true &&
      // One that ended with the fewest would end with seven or so, whose intervals say too much (matrix.ts).
      raws.some((raw) => raw.grants === grants && raw.workspaces === workspaces && raw.round === rounds - 1),
  )
}

/** What was measured with what further rounds added. How they end makes a run no less complete, and is a remark. */
export function withFurther({ raws, ran, remarks }: Gathered, more: Gathered | string): Gathered {
  if (typeof more === 'string') return { raws, ran, remarks: [...remarks, `there were no further rounds: ${more}`] }
  const refused = more.ran.variants.filter(({ state }) => state === 'refused')
  // What judges nothing cannot mean something else: the ground is broken.
  const broken = refused.find(({ role }) => role === 'baseline' || role === 'reference')
  if (broken) return withFurther({ raws, ran, remarks }, `${broken.name}: ${broken.why ?? 'refused'}`)
  const variants = ran.variants.map((one) => refused.find(({ name }) => name === one.name) ?? one)
  const ended = [
    ...refused.map(({ name, why = 'refused' }) => `${name} was refused in further rounds, and has no figures: ${why}`),
    ...(more.ran.why === undefined ? [] : [`further rounds ended early: ${more.ran.why}`]),
  ]
  return {
    raws: ofRun([...raws, ...more.raws], variants),
    ran: { ...ran, variants },
    remarks: [...new Set([...remarks, ...more.remarks, ...ended])],
  }
}

async function goneOn(chosen: Chosen, measured: Gathered, request: BenchRequest, leftMs: number): Promise<Gathered> {
  const scene = goesOn(chosen, measured)
  const visited = measured.ran.variants.filter(({ state, emulated }) => state === 'measured' && !emulated)
  if (!scene || request.signal.aborted || furtherThatFit(guess(scene, visited.length), leftMs) === 0) return measured
  const again = { ...chosen, scenes: [scene], variants: visited.map(({ name }) => name) }
  const made = runWorker(again, request, leftMs, scene.rounds)
  return withFurther(measured, await made.catch((error: unknown) => causeChain(error).join(': ')))
}

/** What else the machine did meanwhile. */
export function around(loadBefore: number, before: ReturnType<typeof cpuSeconds>) {
  const after = cpuSeconds()
  const stolen = Math.max(0, after.stolen - before.stolen) / Math.max(1, after.all - before.all)
  return { loadBefore, loadAfter: load(), stolen }
}

/** Throws BENCH_NOTHING. */
export function choose({ only, quick }: Pick<BenchRequest, 'only' | 'quick'>): Chosen {
  const files = quick ? QUICK_FILES : FULL_FILES
  const scenes = quick ? QUICK : FULL
  const all = variantsOf('', () => 0)
  const names = all.map(({ name }) => name)
  if (only.length === 0) {
    // Software in the place of a card takes the time of three others, and says the least; one of two written by hand is enough.
    const quickly = all.filter(({ emulated, name }) => !emulated && name !== 'ipset').map(({ name }) => name)
    return { kind: quick ? 'quick' : 'full', scenes, files, ...(quick ? { variants: quickly } : {}) }
  }
  const questions = [...new Set(FULL.flatMap(({ probes }) => probes.map(({ question }) => question as string)))]
  const known = [...names, ...questions, ...FULL_FILES.map(({ name }) => name)]
  for (const named of only)
    if (!known.includes(named)) throw benchFault('BENCH_NOTHING', { named, known: known.join(', ') })
  const variants = names.filter((name) => only.includes(name))
  const asked = questions.filter((question) => only.includes(question))
  // With --quick those that have a shorter form have it.
  const chosenFiles = FULL_FILES.filter(({ name }) => only.includes(name)).map(
    (file) => files.find(({ name }) => name === file.name) ?? file,
  )
  // Naming a variant or a question asks for the matrix; naming files alone does not. `nftables` is both a variant and a file.
  const matrix = variants.length > 0 || asked.length > 0
  const narrowed = scenes
    .map((scene) => ({
      ...scene,
      probes: scene.probes.filter(({ question }) => asked.length === 0 || asked.includes(question)),
    }))
    .filter(({ probes }) => probes.length > 0)
  const ownFiles = chosenFiles.filter(({ name }) => !names.includes(name))
  const visited = variants.length > 0 ? ['none', 'empty', 'empty-chains', ...variants] : names
  const budgetMs = BUDGET_MS[quick ? 'quick' : 'full']
  const leftMs = budgetMs - millisecondsOf(fitting(ownFiles, budgetMs))
  const longer = withMoreRounds(
    narrowed,
    all.filter(({ name }) => visited.includes(name)),
    leftMs,
  )
  return {
    kind: 'only',
    scenes: matrix ? longer : [],
    files: ownFiles,
    ...(variants.length > 0 ? { variants: visited } : {}),
  }
}

export interface Gathered {
  readonly raws: readonly Raw[]
  readonly ran: Ran
  readonly remarks: readonly string[]
}

/** `after` is how many rounds of its scenes were made before. */
async function runWorker(chosen: Chosen, request: BenchRequest, budgetMs: number, after?: number): Promise<Gathered> {
  if (!existsSync(GENERATOR)) throw benchFault('BENCH_GROUND', { why: 'build/native/sluice-load is not there' })
  if (process.getuid?.() !== 0) throw benchFault('BENCH_GROUND', { why: 'this is not root' })
  const stateDirectory = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const { scenes, variants: only } = chosen
  const terms: WorkerTerms = {
    scenes,
    seed: request.seed,
    budgetMs,
    stateDirectory,
    ...(only ? { only } : {}),
    ...(after === undefined ? {} : { after }),
  }
  const words = ['--net', '--mount', '--propagation', 'private', process.execPath, WORKER, JSON.stringify(terms)]
  const child = spawn('unshare', words, { stdio: ['pipe', 'pipe', 'inherit'] })
  const stop = (): void => {
    child.stdin.end()
  }
  request.signal.addEventListener('abort', stop)
  const raws: Raw[] = []
  const remarks: string[] = []
  const refused = new Map<string, string>()
  let ran: Ran | undefined
  let causes: readonly string[] = []
  try {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const heard = heardOf(line)
      if (heard === undefined) return
      if (heard.kind === 'raw') raws.push(heard.raw)
      else if (heard.kind === 'remark') remarks.push(heard.say)
      else if (heard.kind === 'progress') request.progress(heard.progress)
      else if (heard.kind === 'refused') refused.set(heard.variant, heard.why)
      else if (heard.kind === 'ran') ran = heard.ran
      else causes = heard.causes
    })
    await once(child, 'close')
  } finally {
    request.signal.removeEventListener('abort', stop)
    rmSync(stateDirectory, { recursive: true, force: true })
  }
  if (ran) return { raws: ofRun(raws, ran.variants), ran, remarks }
  const why = causes.length > 0 ? causes.join(': ') : 'the process that measures ended'
  if (raws.length === 0) throw benchFault('BENCH_GROUND', { why })
  const variants = named(raws, refused)
  return { raws: ofRun(raws, variants), ran: { variants, complete: false, why }, remarks }
}

/** Nothing for a line that ends where its process was killed. */
function heardOf(line: string): Heard | undefined {
  try {
    return JSON.parse(line) as Heard
  } catch {
    return undefined
  }
}

/** What was measured of a variant before it was found to mean something else is thrown away. */
export function ofRun(raws: readonly Raw[], variants: readonly VariantSeen[]): readonly Raw[] {
  const measured = new Set(variants.filter(({ state }) => state === 'measured').map(({ name }) => name))
  return raws.filter(({ variant }) => measured.has(variant))
}

/** The variants of a run that died before it could say. */
export const named = (raws: readonly Raw[], refused: ReadonlyMap<string, string>): readonly VariantSeen[] =>
  variantsOf('', () => 0)
    .filter(({ name }) => refused.has(name) || raws.some(({ variant }) => variant === name))
    .map(({ name, say, role, emulated }) => {
      const why = refused.get(name)
      const common = { name, say, role, emulated }
      return why === undefined ? { ...common, state: 'measured' } : { ...common, state: 'refused', why }
    })

/** Why the run is not complete, matrix and files; empty where it is. An interruption of both is one. */
const whole = (matrix: string | undefined, files: string | undefined): string =>
  matrix !== undefined && files?.startsWith(matrix)
    ? files
    : [matrix, files].filter((part) => part !== undefined).join('; ')

/** Puts together what a run found. */
export function resultsOf(
  { seed, command }: Pick<BenchRequest, 'seed' | 'command'>,
  { kind, scenes, budgetMs }: Pick<Chosen, 'kind' | 'scenes'> & { readonly budgetMs: number },
  found: Gathered & {
    benches: readonly BenchSeen[]
    tookSeconds: number
    startedAtMs: number
    version: string
  },
  elsewhere: ReturnType<typeof around>,
): Results {
  const { raws, ran, remarks, benches, tookSeconds, startedAtMs, version } = found
  const measurements = assemble(raws, ran.variants, { confidence: CONFIDENCE, seed })
  const settings = scenes.filter(({ grants, workspaces }) =>
    raws.some((raw) => raw.grants === grants && raw.workspaces === workspaces),
  )
  const why = whole(ran.why, unfinished(benches))
  return {
    format: RESULTS_FORMAT,
    run: {
      kind,
      command,
      version,
      ...commit(),
      startedAt: formatInstant(startedAtMs),
      tookSeconds: Math.round(tookSeconds * 10) / 10,
      budgetSeconds: budgetMs / 1_000,
      seed,
      confidence: CONFIDENCE,
      complete: ran.complete && why === '',
      ...(why === '' ? {} : { why }),
      ...(remarks.length > 0 ? { remarks } : {}),
    },
    machine: { ...machine(), ...elsewhere },
    policy: {
      digests: settings.map(({ grants, workspaces }) => ({
        grants,
        workspaces,
        digest: digestOf({ grants, workspaces }),
      })),
      say: 'each grant one address, one protocol and one port, half of them IPv4; beside them the endpoints of the server',
      ...(ran.variants.some(({ name, state }) => name === 'hand' && state === 'measured')
        ? { hand: ruleset(SHOWN) }
        : {}),
    },
    variants: ran.variants,
    measurements,
    benches,
    promises: judgePromises(measurements, benches, ran.variants),
  }
}
