// What a kill has to say of sessions where there was nobody to tell: it is no part that was not done, and no broker that did it either.
// In the words of the signed report, once for all workspaces.

import { type Paint, shown } from '../print.js'

interface Step {
  readonly step: string
  readonly what?: string
}

/** Why nobody was told of the end of its sessions; undefined: whoever keeps them was, or it was not done. */
export const untoldOf = (steps: readonly Step[]): string | undefined =>
  steps.find(({ step, what }) => step === 'sessions' && what !== undefined)?.what

export const untoldRemark = (workspaces: readonly { readonly steps: readonly Step[] }[], paint: Paint): string =>
  [...new Set(workspaces.flatMap(({ steps }) => untoldOf(steps) ?? []))]
    .map((why) => `${paint('yellow', 'note')}: sessions: ${shown(why)}\n`)
    .join('')
