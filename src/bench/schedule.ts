// In which order variants are visited, and whether there is time for another round. Every round visits every variant once, in an
// order of chance, so that what the machine does beside hits them alike; a scene has all its rounds or is not begun, because fewer
// repetitions than the rule of noise asks for say nothing (figure.ts). A part of a run, and a whole one at its end,
// has more of them where there is time.

import { LEAST_REPETITIONS } from './figure.js'
import type { Probe, Scene } from './matrix.js'
import { chance, shuffled } from './statistics.js'
import type { Variant } from './variants/variant.js'

/** The order of a round; the same for the same seed, whatever else was measured. */
export const orderOf = (variants: readonly string[], seed: number, scene: number, round: number): string[] =>
  shuffled(variants, chance((seed ^ Math.imul(scene + 1, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca77)) >>> 0))

/** Guess of what a visit takes beside its probes, until one was seen: putting in place, looking whether it means what it should. An hour
 * on two processors took 1,947 s where this says 1,929. */
const AROUND_MS = 500
/** For each grant; half of the variants load none. */
const LOAD_MS = 0.006
/** For each workspace beside the first: its slot, and what ours attach to it. */
const WORKSPACE_MS = 25
const START_MS = 80
/** For each connection that stands: opened, asked again, closed. The probe's own time is an end, and not what it takes. */
const STAND_MS = 0.055

/** Intervals of nine are narrower than those of five, and cover as much (matrix.ts). */
const MORE_ROUNDS = 9
const SPARE = 1.05

type Visited = Pick<Variant, 'name' | 'emulated'>

const probeMs = ({ question, flows, ms, paced }: Probe): number =>
  START_MS + (question === 'flows' ? flows * STAND_MS : paced === undefined ? ms : 2 * ms)

/** Guess of a round of a scene, milliseconds. */
export const guess = ({ probes, grants, workspaces }: Scene, variants: number): number =>
  variants *
  (AROUND_MS +
    LOAD_MS * grants * Math.max(1, workspaces) +
    WORKSPACE_MS * Math.max(0, workspaces - 1) +
    probes.reduce((sum, probe) => sum + probeMs(probe), 0))

/** Guess of all rounds of a scene. What is emulated is visited in the fewest that a figure needs, and nowhere that is for real alone. */
function wholeMs(scene: Scene, variants: readonly Visited[]): number {
  const asked = variants.filter(({ name }) => scene.only?.includes(name) ?? true)
  const emulated = scene.real ? 0 : asked.filter((one) => one.emulated).length
  const own = guess(scene, asked.filter((one) => !one.emulated).length) * scene.rounds
  return own + guess(scene, emulated) * Math.min(scene.rounds, LEAST_REPETITIONS)
}

/**
 * The scenes of a part of a run (--only), which takes little of its time: nine rounds of each, where nine of all of them fit with a
 * twentieth to spare, and otherwise as many as a whole run has, so that no scene is left out for the rounds of another.
 */
export function withMoreRounds(
  scenes: readonly Scene[],
  variants: readonly Visited[],
  budgetMs: number,
): readonly Scene[] {
  const more = scenes.map((scene) => ({ ...scene, rounds: Math.max(scene.rounds, MORE_ROUNDS) }))
  const takesMs = more.reduce((sum, scene) => sum + wholeMs(scene, variants), 0)
  return takesMs * SPARE <= budgetMs ? more : scenes
}

/** How many further rounds find time, when one takes as long as the longest that was seen, and a twentieth more. */
export const furtherThatFit = (longestMs: number, leftMs: number): number =>
  Math.max(0, Math.floor(leftMs / (SPARE * Math.max(1, longestMs))))

/**
 * How many rounds of a scene to make: all, as few as a figure needs, or no more. Nothing between: intervals of medians of seven are
 * narrower than they say. What has gone beyond the fewest fitted when it was begun, and goes on. `roundMs` is what a round takes.
 */
export function roundsThatFit(wanted: number, done: number, roundMs: number, leftMs: number): number {
  const fit = done + Math.floor(leftMs / Math.max(1, roundMs))
  if (fit >= wanted || done > LEAST_REPETITIONS) return wanted
  return fit >= LEAST_REPETITIONS ? LEAST_REPETITIONS : done
}
