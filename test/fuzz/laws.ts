// Rules that hold for every input of every target: who breaks one throws, and the fuzzer keeps the input. A Fault that refuses
// the input is what parsers are for; every other thing that is thrown is a finding.

import { Fault } from '../../src/base/fault.js'

/** Runs `read`; a Fault that refuses the input gives undefined, anything else is a finding. */
export function orFault<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof Fault && error.reaction === 'reject') return undefined
    throw error
  }
}
export async function orFaultLater<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof Fault && error.reaction === 'reject') return undefined
    throw error
  }
}
export function hold(rule: boolean, what: string): void {
  if (!rule) throw new Error(`broken: ${what}`)
}
export const show = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part))
