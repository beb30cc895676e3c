// From one format of the store to the next, a row a step: how each record reads in the newer format, and how it reads in the
// older one again. The place where a release that changes what a record holds writes how; `store-format.ts` does the rest
// (copy, order, crashes). A step is a pure function of the name and the octets of one file, and both ways must lose nothing
// that a fence needs: marks, quarantines, what was taken back.

/** Of one file below the state directory, by its name there (`state.json`, `plans/<digest>.json`). */
export type Convert = (name: string, bytes: Uint8Array) => Uint8Array

export interface Step {
  /** What changed, for whoever reads this table. */
  readonly say: string
  readonly forward: Convert
  readonly back: Convert
}

const same: Convert = (_name, bytes) => bytes

/** Row n leads from format n+1 to format n+2. */
export const STEPS: readonly Step[] = [
  // Format 1 had no store.json; its records are the same.
  { say: 'the store names its format in store.json', forward: same, back: same },
]
