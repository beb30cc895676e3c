// Which upstream is asked next. Values in, values out: a failure sets one aside for a time that doubles, an answer brings it back
// at once. The ones in order come first, by preference; those set aside come after them, soonest first, so that with everything
// down every one of them is still tried. Once its time is over, one question at a time finds out whether it is back.

export interface Health {
  /** In a row. */
  readonly failures: number
  readonly asideUntilMs: number
}

export const HEALTHY: Health = { failures: 0, asideUntilMs: 0 }

const FIRST_ASIDE_MS = 500
const LONGEST_ASIDE_MS = 30_000

/** `chance` from 0 up to 1 spreads the returns, so that several agents do not come back in the same moment. */
export function failed(health: Health, nowMs: number, chance: number): Health {
  const failures = health.failures + 1
  const asideMs = Math.min(LONGEST_ASIDE_MS, FIRST_ASIDE_MS * 2 ** Math.min(failures - 1, 10))
  return { failures, asideUntilMs: nowMs + asideMs * (0.5 + chance / 2) }
}

/** Whoever is asked now although it failed last pays for finding out: others wait until then. */
export const tried = (health: Health, nowMs: number, tryMs: number): Health =>
  health.failures === 0 ? health : { ...health, asideUntilMs: Math.max(health.asideUntilMs, nowMs + tryMs) }

/** Indices in the order to ask. */
export function orderOf(all: readonly Health[], nowMs: number): number[] {
  const rank = (health: Health): number => (health.asideUntilMs <= nowMs ? 0 : health.asideUntilMs)
  return all.map((_, i) => i).sort((a, b) => rank(all[a] ?? HEALTHY) - rank(all[b] ?? HEALTHY) || a - b)
}
