// `lifecycle-rate`: one caller attaches, detaches, fences or lets out workspaces far more often than anybody does who runs
// workspaces: too many calls, too many about one workspace, or too many that are refused. What the agent does by itself is
// nobody's call.

import type { Detector, LifecycleCall, Sign } from './sight.js'
import type { FindingTerms } from './terms.js'
import { Kept, MOST_SUBJECTS, Recent, SlidingCount } from './window.js'

/** Whoever the agent calls itself in commands; callers from outside have a SPIFFE URI or `user:NAME`. */
const SELF = 'sluice'
const COUNTED: ReadonlySet<string> = new Set(['attach', 'detach', 'quarantine-set', 'quarantine-lift', 'kill'])
/** Workspaces of one caller that are told apart, and that a reaction reaches. */
const APART = 64

interface Known {
  readonly calls: SlidingCount
  readonly refused: SlidingCount
  readonly about: Kept<SlidingCount>
  readonly workspaces: Recent
}

export function lifecycleRate(terms: FindingTerms['lifecycleRate']): Detector<'lifecycle-rate'> {
  const { windowMs } = terms
  const callers = new Kept<Known>(MOST_SUBJECTS, () => ({
    calls: new SlidingCount(windowMs),
    refused: new SlidingCount(windowMs),
    about: new Kept(APART, () => new SlidingCount(windowMs)),
    workspaces: new Recent(windowMs, APART),
  }))
  return {
    see: (sight) => {
      if (sight.kind !== 'lifecycle-call' || sight.by === SELF || !COUNTED.has(sight.command)) return []
      const { by, atMs, workspace, refused } = sight
      const known = callers.get(by)
      known.calls.add(atMs, 1)
      if (workspace !== '') known.workspaces.add(workspace, atMs)
      if (refused) known.refused.add(atMs, 1)
      const about = known.about.get(workspace)
      if (workspace !== '') about.add(atMs, 1)
      const counts = {
        calls: known.calls.total(atMs),
        perWorkspace: about.total(atMs),
        refused: known.refused.total(atMs),
      }
      return [judged(sight, counts, known.workspaces.words(), terms, known.workspaces.firstAtMs())]
    },
  }
}

function judged(
  { by, atMs, workspace, command }: LifecycleCall,
  counts: { readonly calls: number; readonly perWorkspace: number; readonly refused: number },
  workspaces: readonly string[],
  terms: FindingTerms['lifecycleRate'],
  firstAtMs: number,
): Sign<'lifecycle-rate'> {
  const sign: Sign<'lifecycle-rate'> = {
    finding: 'lifecycle-rate',
    cause: by,
    atMs,
    count: 1,
    subject: { caller: by, reach: workspaces },
  }
  const reason = (['perWorkspace', 'refused', 'calls'] as const).find((one) => counts[one] >= terms[one])
  if (reason === undefined) return sign
  const seconds = terms.windowMs / 1_000
  const what = {
    perWorkspace: `calls about ${workspace}`,
    refused: 'calls that were refused',
    calls: 'lifecycle calls',
  }
  const evidence = {
    reason,
    last_command: command,
    calls: counts.calls,
    calls_about_one: counts.perWorkspace,
    refused: counts.refused,
    workspaces,
  }
  const say = `${by} made ${counts[reason]} ${what[reason]} within ${seconds} s`
  return {
    ...sign,
    beyond: {
      say,
      firstAtMs: Math.max(Math.min(firstAtMs, atMs), atMs - terms.windowMs),
      count: counts[reason],
      evidence,
    },
  }
}
