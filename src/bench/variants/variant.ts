// What is measured: one way to judge a workspace's traffic, put in place and taken away again. A variant that cannot be had on this
// machine says why; one that is there must mean what the setting says, which the run looks at before it measures (meaning.ts).

import type { Role } from '../results.js'
import type { Setting } from '../setting.js'

export interface Placed {
  /** From what was built before (a slice of a plan, a text) until it was committed, milliseconds; absent where nothing is loaded. */
  readonly stageMs?: number
  /** What the kernel holds more since, MiB. */
  readonly kernelMiB?: number
  /** What put it in place, as a reader would type it, or in which of our own words where no program does. */
  readonly commands?: readonly string[]
  lift(): Promise<void>
}

export interface Variant {
  readonly name: string
  readonly say: string
  readonly role: Role
  /** Software that stands in for a card. */
  readonly emulated: boolean
  /** Why it cannot be had here; undefined when it can. Asked once, before anything is measured. */
  absent(): Promise<string | undefined>
  put(setting: Setting): Promise<Placed>
}
