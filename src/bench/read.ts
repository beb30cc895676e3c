// Reads a results.json: strict JSON, then its schema. What comes back has the shape of `Results`; texts in it are still whatever the
// file says, so that whoever prints them escapes them. Throws BENCH_RESULTS with the place and the reason.

import { Ajv, type ValidateFunction } from 'ajv'
import { JsonError, parseJson } from '../base/json.js'
import { benchFault } from './errors.js'
import type { Results } from './results.js'
import { RESULTS_SCHEMA } from './schema/gen/results.js'

let compiled: ValidateFunction | undefined
const validator = (): ValidateFunction => {
  compiled ??= new Ajv({ ownProperties: true, allowUnionTypes: true }).compile(RESULTS_SCHEMA)
  return compiled
}

/** `file` is what messages call it. */
export function readResults(text: string, file: string): Results {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    const { path, line, column, reason } = error
    throw benchFault('BENCH_RESULTS', { file, where: path, why: `${reason} at line ${line} column ${column}` })
  }
  const validate = validator()
  if (!validate(value)) {
    const [first] = validate.errors ?? []
    const where = first?.instancePath ?? ''
    throw benchFault('BENCH_RESULTS', { file, where, why: first?.message ?? 'it does not match the schema' })
  }
  return value as Results
}
