// The authorizer's library, for tests: opens a table and asks it, as vaultfs does in C.

import { existsSync } from 'node:fs'
import koffi from 'koffi'
import { nativePath } from '../../../src/backends/ebpf/native.js'
import { FILE_OPERATION_NAMES, type FileOperation } from '../../../src/plan/file-operations.js'

const PATH = nativePath('libsluice_vault.so')
export const isBuilt = existsSync(PATH)

export interface Answer {
  /** 0 allows; else 1 + the index in FILE_DENIALS. */
  readonly verdict: number
  readonly errno: number
  /** Node and index of the clause; 0xffffffff where none is named. */
  readonly node: number
  readonly right: number
}

export interface Asked {
  readonly find: (workspace: string, volume: string) => number
  readonly decide: (volume: number, standing: number, operation: FileOperation | number, path: string) => Answer
}

export function openLibrary() {
  const library = koffi.load(PATH)
  const open = library.func('int sluice_vault_open(void *block, uint64_t size, _Out_ void **out)')
  const find = library.func('uint32_t sluice_vault_find(void *table, const char *workspace, const char *volume)')
  const decide = library.func(
    'int sluice_vault_decide(void *table, uint32_t volume, uint32_t standing, uint32_t op, void *path, uint32_t length, _Out_ uint32_t *node, _Out_ uint32_t *right)',
  )
  const errno = library.func('int sluice_vault_errno(int verdict)')
  const layout = library.func('int sluice_vault_layout(void *text, uint32_t capacity)')
  return {
    layout: (): string => {
      const text = Buffer.alloc(4096)
      return text.toString('utf8', 0, Number(layout(text, text.length)))
    },
    /** The answer of `sluice_vault_open` alone, for octets that may be damaged. */
    accepts: (octets: Uint8Array): number => Number(open(aligned(octets), octets.length, [null])),
    open: (octets: Uint8Array): Asked => {
      const block = aligned(octets)
      const out: unknown[] = [null]
      const code = Number(open(block, octets.length, out))
      if (code !== 0) throw new Error(`sluice_vault_open answered ${code}`)
      return {
        find: (workspace, volume) => Number(find(block, workspace, volume)),
        decide: (volume, standing, operation, path) => {
          const op = typeof operation === 'number' ? operation : FILE_OPERATION_NAMES.indexOf(operation)
          const bytes = Buffer.from(path)
          const [node, right] = [[0], [0]] as [number[], number[]]
          const verdict = Number(decide(block, volume, standing, op, bytes, bytes.length, node, right))
          return { verdict, errno: Number(errno(verdict)), node: node[0] ?? 0, right: right[0] ?? 0 }
        },
      }
    },
  }
}

/** A copy of its own memory, which begins at a multiple of 8. */
const aligned = (octets: Uint8Array): Buffer => {
  const memory = new ArrayBuffer(Math.max(8, octets.length))
  const out = Buffer.from(memory, 0, octets.length)
  out.set(octets)
  return out
}
