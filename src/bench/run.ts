// A run: scene after scene, round after round, every variant visited once a round in an order of chance. A visit puts the variant in
// place, looks in a scene's first round whether it means what it should, warms up, makes one repetition of each probe and takes the
// variant away again. The run ends when it is told to or when its time is over; whatever was measured until then has been told.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { causeChain, Fault } from '../base/fault.js'
import type { Raw } from './assemble.js'
import { LEAST_REPETITIONS } from './figure.js'
import { autocannon, measure, type Path } from './generators.js'
import { calm, KERNEL_MEMORY } from './machine.js'
import { type Probe, type Scene, titleOf } from './matrix.js'
import { misread } from './meaning.js'
import type { VariantSeen } from './results.js'
import { furtherThatFit, guess, orderOf, roundsThatFit } from './schedule.js'
import type { Progress } from './terminal.js'
import type { Variant } from './variants/variant.js'

export interface RunTerms {
  readonly scenes: readonly Scene[]
  readonly seed: number
  readonly budgetMs: number
  /** Rounds of each scene that were made before: this run makes further ones, as many as find time. Absent: a run of its own. */
  readonly after?: number
  readonly signal: AbortSignal
  readonly raw: (raw: Raw) => void
  readonly progress: (progress: Progress) => void
  readonly remark: (say: string) => void
  /** At once, since what was told of a variant before it was refused counts no more, whether or not this run comes to its end. */
  readonly refused: (variant: string, why: string) => void
  /** Milliseconds of a clock that only goes forward. */
  readonly clock: () => number
}

export interface Ran {
  readonly variants: readonly VariantSeen[]
  readonly complete: boolean
  readonly why?: string
}

const execute = promisify(execFile)
/** A machine that does other things as well never is calm. */
const MOST_CALM_MS = 600

export async function runMatrix(path: Path, variants: readonly Variant[], terms: RunTerms): Promise<Ran> {
  return await new Run(path, variants, terms).all()
}

class Run {
  private readonly began: number
  private readonly absent = new Map<string, string>()
  private readonly refused = new Map<string, string>()
  private readonly skipped: string[] = []
  private readonly said = new Set<string>()
  private told = 0
  /** What found no end in its time finds none in the next round either, and that time is others'. */
  private readonly endless = new Set<string>()

  constructor(
    private readonly path: Path,
    private readonly variants: readonly Variant[],
    private readonly terms: RunTerms,
  ) {
    this.began = terms.clock()
  }

  async all(): Promise<Ran> {
    for (const variant of this.variants) {
      const why = await variant.absent()
      if (why !== undefined) this.absent.set(variant.name, why)
    }
    const { scenes, signal, after } = this.terms
    for (const [at, scene] of scenes.entries()) {
      if (signal.aborted) break
      if (after !== undefined) await this.further(scene, at, after)
      else if (guess(scene, this.live(scene).length) * LEAST_REPETITIONS > this.leftMs())
        this.skipped.push(titleOf(scene))
      else await this.scene(scene, at)
    }
    const why = signal.aborted
      ? 'it was interrupted'
      : this.skipped.length > 0
        ? `no time was left for ${this.skipped.join('; ')}`
        : undefined
    return {
      variants: this.variants.map((one) => this.seen(one)),
      complete: why === undefined,
      ...(why ? { why } : {}),
    }
  }

  private async scene(scene: Scene, at: number): Promise<void> {
    const { signal, clock } = this.terms
    const began = clock()
    let [rounds, finished] = [scene.rounds, 0]
    while (finished < rounds && (await this.round(scene, at, finished, rounds))) {
      finished++
      rounds = roundsThatFit(scene.rounds, finished, (clock() - began) / finished, this.leftMs())
    }
    if (!signal.aborted && finished < Math.min(scene.rounds, LEAST_REPETITIONS)) this.skipped.push(titleOf(scene))
  }

  /** Until the longest round would not fit any more, or one told nothing: then the next would not either. */
  private async further(scene: Scene, at: number, after: number): Promise<void> {
    const { clock } = this.terms
    let longestMs = guess(scene, this.live(scene, after).length)
    for (let round = after; ; round++) {
      const fit = furtherThatFit(longestMs, this.leftMs())
      const [began, told] = [clock(), this.told]
      if (fit === 0 || !(await this.round(scene, at, round, round + fit)) || this.told === told) return
      longestMs = Math.max(longestMs, clock() - began)
    }
  }

  /** False when it was interrupted, or its time was over, before every variant was visited. */
  private async round(scene: Scene, at: number, round: number, rounds: number): Promise<boolean> {
    const { signal, seed } = this.terms
    const order = orderOf(
      this.live(scene, round).map(({ name }) => name),
      seed,
      at,
      round,
    )
    for (const [position, name] of order.entries()) {
      const variant = this.live(scene).find((one) => one.name === name)
      if (!variant) continue
      if (signal.aborted || this.leftMs() <= 0) return false
      this.tell(scene, at, round, rounds, position, variant)
      await this.visit(variant, scene, round, position)
    }
    return !signal.aborted
  }

  private async visit(variant: Variant, scene: Scene, round: number, position: number): Promise<void> {
    const { grants, workspaces, probes } = scene
    const { ground } = this.path
    ground?.slots(Math.max(1, workspaces))
    // Where nothing tracks connections there is nothing to forget, and the command says so.
    if (ground) await execute('conntrack', ['-F']).catch(() => undefined)
    // What the variant before leaves to the kernel to be taken apart is neither this one's memory nor its time.
    await this.calm()
    let placed: Awaited<ReturnType<Variant['put']>>
    try {
      placed = await variant.put({ grants, workspaces })
    } catch (error) {
      this.remark(`${variant.name} could not be put in place with ${grants} grants: ${causeChain(error).join(': ')}`)
      return
    }
    try {
      if (ground && round === (this.terms.after ?? 0)) {
        const wrong = await misread(ground, variant.role)
        if (wrong !== undefined) {
          this.refused.set(variant.name, wrong)
          this.terms.refused(variant.name, wrong)
          return
        }
      }
      const common = { grants, workspaces, variant: variant.name, round, position }
      const { stageMs, kernelMiB, commands = [] } = placed
      const loaded = { ...common, family: 'ipv4' as const, flows: 0, commands }
      if (stageMs !== undefined) this.tellRaw({ ...loaded, question: 'stage', value: stageMs })
      if (kernelMiB !== undefined)
        this.tellRaw({
          ...loaded,
          question: 'kernel-memory',
          value: kernelMiB,
          commands: [...commands, KERNEL_MEMORY],
        })
      await this.warmUp(scene)
      await this.calm()
      for (const probe of probes) {
        if (this.terms.signal.aborted) return
        const { question, family, flows, ms } = probe
        if (question === 'http' && autocannon() === undefined) {
          this.remark('HTTP was not measured: autocannon is not installed')
          continue
        }
        const measured = await this.repetition(variant, scene, probe)
        if (measured) this.tellRaw({ ...common, question, family, flows, ms, ...measured })
      }
    } finally {
      await placed.lift()
    }
  }

  private calm(): Promise<void> {
    return calm(Math.min(MOST_CALM_MS, this.leftMs()))
  }

  /** Neighbours are resolved, code and tables are in the caches. */
  private async warmUp(scene: Scene): Promise<void> {
    for (const family of new Set(scene.probes.map((probe) => probe.family)))
      await measure(this.path, scene, { question: 'tcp-crr', family, flows: 8, ms: 60 }).catch(() => undefined)
  }

  private async repetition(variant: Variant, scene: Scene, probe: Probe) {
    const what = `${variant.name}: ${titleOf({ ...scene, probes: [probe] })}`
    if (this.endless.has(what)) return undefined
    try {
      return await measure(this.path, scene, probe)
    } catch (error) {
      if (error instanceof Fault && error.code === 'BENCH_TIME') this.endless.add(what)
      const said = causeChain(error)[0]?.split('\n')[0] ?? 'it failed'
      this.remark(`${probe.question} of ${variant.name} failed at least once: ${said}`)
      return undefined
    }
  }

  private tell(scene: Scene, at: number, round: number, rounds: number, position: number, variant: Variant): void {
    const { scenes, progress, clock } = this.terms
    const live = this.live(scene).length
    const own = guess(scene, live) * (rounds - round - position / live)
    const later = scenes.slice(at + 1).reduce((sum, one) => sum + guess(one, this.live(one).length) * one.rounds, 0)
    const leftMs = Math.min(own + later, Math.max(0, this.leftMs()))
    const doneMs = clock() - this.began
    const say = `${titleOf(scene)}, round ${round + 1} of ${rounds}`
    progress({ say, variant: variant.name, done: doneMs / (doneMs + leftMs), leftSeconds: leftMs / 1_000 })
  }

  private tellRaw(raw: Raw): void {
    this.told++
    this.terms.raw(raw)
  }

  private remark(say: string): void {
    if (this.said.has(say)) return
    this.said.add(say)
    this.terms.remark(say)
  }

  /** What is emulated is measured as often as a figure needs, and no more. */
  private live({ real, only }: Scene, round = 0): readonly Variant[] {
    const emulatedToo = real !== true && round < LEAST_REPETITIONS
    return this.variants.filter(
      ({ name, emulated }) =>
        !this.absent.has(name) &&
        !this.refused.has(name) &&
        (emulatedToo || !emulated) &&
        (only?.includes(name) ?? true),
    )
  }

  private leftMs(): number {
    return this.terms.budgetMs - (this.terms.clock() - this.began)
  }

  private seen({ name, say, role, emulated }: Variant): VariantSeen {
    const common = { name, say, role, emulated }
    const absent = this.absent.get(name)
    if (absent !== undefined) return { ...common, state: 'absent', why: absent }
    const refused = this.refused.get(name)
    return refused === undefined ? { ...common, state: 'measured' } : { ...common, state: 'refused', why: refused }
  }
}
