// Where a backend differs from the exact meaning of a plan, and says so: the demo asks `sluice doctor` and judges every probe by
// what is declared, with the capability beside it in the table. What is not declared is expected exactly.

import type { Verdict } from './probe.js'
import type { Document, Product } from './product.js'

export interface Terms {
  /** `refusals: silent` */
  readonly silent: boolean
  /** `flowState: none` */
  readonly stateless: boolean
  /** What is shown of refused packets: all of them, those of sound packets that no grant allows, or their counts alone. */
  readonly denials: 'all' | 'unallowed' | 'counted'
}

/** What the backend declares on this machine. Throws when it cannot be used here, with the reason. */
export async function declared(product: Product, backend: string): Promise<Terms> {
  const { json } = await product.run('doctor')
  const found = (json.backends as readonly Document[]).find((one) => one.backend === backend)
  const capabilities = (found?.capabilities ?? {}) as Document
  if (capabilities.usable !== true) throw new Error(`${backend} cannot be used here: ${String(capabilities.why)}`)
  return {
    silent: capabilities.refusals === 'silent',
    stateless: capabilities.flowState === 'none',
    denials: capabilities.denials === 'counted' || capabilities.denials === 'unallowed' ? capabilities.denials : 'all',
  }
}

export interface Expected<V extends string = string> {
  readonly expect: V
  /** The capability that explains the difference; '' where there is none. */
  readonly by: string
}

/** What is expected of a verdict of the exact meaning. */
export function expected(
  { expect, stateless }: { readonly expect: Verdict; readonly stateless?: Verdict },
  terms: Terms,
): Expected<Verdict> {
  if (stateless !== undefined && terms.stateless) return { expect: stateless, by: 'flowState: none' }
  if (expect === 'refused' && terms.silent) return { expect: 'dropped', by: 'refusals: silent' }
  return { expect, by: '' }
}

/** One expectation or the other. */
export const either = (differs: boolean, exact: string, other: string, by: string): Expected =>
  differs ? { expect: other, by } : { expect: exact, by: '' }

/** The last cell of a row: why, and the capability that made the expectation another. */
export const because = (why: string, { by }: Expected): string => (by === '' ? why : `${why}; ${by}`)
