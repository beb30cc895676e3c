// The JSON Schema of FencePolicy: the copy that code carries is the file, the file agrees with the closed lists of the model,
// and every key of it has words for an editor.

import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { POLICY_CODES } from '../../../src/policy/codes.js'
import { DIMENSIONS, PROFILES, TRUST_DOMAINS } from '../../../src/policy/model.js'
import { FENCE_POLICY_SCHEMA } from '../../../src/policy/schema/gen/fence-policy.js'

type Schema = { readonly [key: string]: unknown; readonly properties?: Readonly<Record<string, Schema>> }
const file = new URL('../../../src/policy/schema/fence-policy.schema.json', import.meta.url)
const schema = JSON.parse(readFileSync(file, 'utf8')) as Schema

describe('fence-policy.schema.json', () => {
  it('is what the code carries; otherwise run `node scripts/schema.mjs`', () => {
    expect(FENCE_POLICY_SCHEMA).toEqual(schema)
  })

  it('is a valid schema without keywords that ajv would ignore', () => {
    expect(() => new Ajv({ strict: true, allowUnionTypes: true }).compile(schema)).not.toThrow()
  })

  it('has the closed lists of the model', () => {
    const of = schema.properties ?? {}
    expect(of.delegate?.items).toEqual({ enum: DIMENSIONS })
    expect(of.require_domain?.enum).toEqual(TRUST_DOMAINS)
    expect(of.sandboxPolicy?.properties?.profile?.enum).toEqual(PROFILES)
  })

  it('describes every top-level key', () => {
    for (const [key, row] of Object.entries(schema.properties ?? {})) expect(row.description, key).toMatch(/\S{3,} \S/)
  })
})

describe('codes', () => {
  it('are lower-case words with dashes, each with its meaning', () => {
    for (const [code, row] of Object.entries(POLICY_CODES)) {
      expect(code).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
      expect(row.means).not.toBe('')
    }
  })
})
