// Octets that nobody meant as a message, against the decoder and the readers of every method: either a value or a refusal,
// never anything else, and never long.

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readAttach, readFlow, readLease, readReason, readWorkspace } from '../../../src/api/convert.js'
import { METHOD_NAMES, METHODS } from '../../../src/api/methods.js'
import { Fault } from '../../../src/base/fault.js'

it.each(METHOD_NAMES)('%s decodes or refuses any octets', (name) => {
  const { request } = METHODS[name]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
      let message: object
      try {
        message = request.decode(octets)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
        return
      }
      for (const read of [readAttach, readFlow] as ((value: never) => unknown)[])
        refusedOrRead(() => read(message as never))
      for (const value of Object.values(message) as never[]) {
        if (typeof value === 'string') refusedOrRead(() => readReason(value) + readWorkspace(value))
        if (typeof value === 'number') refusedOrRead(() => readLease(value))
      }
    }),
    { numRuns: 2_000 },
  )
})

function refusedOrRead(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    // A message of another method lacks fields: those are our own types, checked by the compiler.
    if (!(error instanceof TypeError)) expect(error).toBeInstanceOf(Fault)
  }
}
