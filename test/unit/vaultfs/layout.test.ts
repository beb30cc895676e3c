// The layout of a table as C and the agent have it, and the lists that stand in both languages.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { FILE_DENIALS } from '../../../src/plan/evaluate-file.js'
import { FILE_OPERATION_NAMES, FILE_OPERATIONS } from '../../../src/plan/file-operations.js'
import * as layout from '../../../src/vault/layout.js'
import { repositoryPath } from '../../support/lab/repository.js'
import { isBuilt, openLibrary } from '../../support/vault/library.js'

const read = (name: string): string => readFileSync(repositoryPath('src/native/vault', name), 'utf8')
const members = (name: string): string[] => {
  const body = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(read('vault.h'))?.[1] ?? ''
  return [...body.matchAll(/VAULT_(\w+)/g)].map(([, word = '']) => word.toLowerCase().replaceAll('_', '-'))
}

describe('the table of vaultfs', () => {
  it('is laid out as the C compiler says', (context) => {
    if (!isBuilt) context.skip('make native has not been run')
    const said = new Map(
      openLibrary()
        .layout()
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([name = '', size, ...fields]) => [
          name,
          {
            size: Number(size),
            fields: Object.fromEntries(fields.map((field) => field.split('=')).map(([k, v]) => [k, Number(v)])),
          },
        ]),
    )
    expect(Object.fromEntries(Object.keys(layout.STRUCTS).map((name) => [name, said.get(name)]))).toEqual(
      layout.STRUCTS,
    )
    expect(said.get('operations')?.size).toBe(FILE_OPERATION_NAMES.length)
    expect(said.get('denials')?.size).toBe(FILE_DENIALS.length)
  })

  it('numbers operations and denials as C does', () => {
    expect(
      members('vault_op')
        .slice(0, -1)
        .map((name) => name.replace(/^op-/, '')),
    ).toEqual(FILE_OPERATION_NAMES)
    expect(members('vault_verdict').slice(1, -1)).toEqual([...FILE_DENIALS])
  })

  it('needs of an operation what C needs', () => {
    const rows = [...read('decide.c').matchAll(/\[VAULT_OP_(\w+)\] = \{(\w+), (\d)\}/g)].map(
      ([, name = '', need = '', moves]) => [name.toLowerCase().replaceAll('_', '-'), need.toLowerCase(), moves === '1'],
    )
    expect(rows).toEqual(
      Object.entries(FILE_OPERATIONS).map(([name, row]) => [name, row.need, 'moves' in row && row.moves]),
    )
  })
})
