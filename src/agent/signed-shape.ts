// What is inside a token that the agent signed, read back as data: strict JSON of one format whose members have the types that
// its shape says. A signature says who wrote it and nothing about what is in it, so whoever verifies still looks.

import { decodeUtf8 } from '../base/bytes.js'
import type { Json } from '../base/canonical.js'
import type { Fault } from '../base/fault.js'
import { isObject, JsonError, parseJson } from '../base/json.js'

export type Is = (value: Json | undefined) => boolean
export const text: Is = (value) => typeof value === 'string'
export const count: Is = (value) => Number.isSafeInteger(value) && Number(value) >= 0
export const flag: Is = (value) => typeof value === 'boolean'
export const orNull =
  (is: Is): Is =>
  (value) =>
    value === null || is(value)
export const exactly =
  (wanted: string): Is =>
  (value) =>
    value === wanted
export const either =
  (...shapes: readonly Is[]): Is =>
  (value) =>
    shapes.some((is) => is(value))
export const optional =
  (is: Is): Is =>
  (value) =>
    value === undefined || is(value)
export const list =
  (is: Is): Is =>
  (value) =>
    Array.isArray(value) && value.every(is)
export const object =
  (shape: Readonly<Record<string, Is>>): Is =>
  (value) =>
    isObject(value) && Object.entries(shape).every(([name, is]) => is(value[name]))

/** The document of this format and shape. Throws what `no` makes of the reason. */
export function readShaped<T extends { readonly format: string }>(
  payload: Uint8Array,
  format: T['format'],
  shape: Readonly<Record<keyof T, Is>>,
  no: (why: string, cause?: unknown) => Fault,
): T {
  const decoded = decodeUtf8(payload)
  if (decoded === undefined) throw no('it is not UTF-8')
  try {
    const value = parseJson(decoded)
    if (!isObject(value) || value.format !== format) throw no(`its format is not ${format}`)
    const wrong = Object.entries<Is>(shape).find(([name, is]) => !is(value[name]))
    if (wrong !== undefined) throw no(`${wrong[0]} is missing or of another type`)
    return value as unknown as T
  } catch (error) {
    if (error instanceof JsonError) throw no('it is not strict JSON', error)
    throw error
  }
}
