// The door to libsluice_native.so (src/native/sluice_native.h): checked for its interface number before anything is called,
// and spoken to in packed records. Functions give a count or a negative errno; nothing here throws on those.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import koffi, { type LibraryHandle } from 'koffi'
import { nftablesFault } from './errors.js'

/** A bound C function: called at once, or with `.async` on a thread of the pool. */
export type CFunction = ReturnType<LibraryHandle['func']>

export const NATIVE_ABI = 10
export const DENIAL_OCTETS = 208
export const FLOW_OCTETS = 80
export const LINK_OCTETS = 24
/** What `newsRead` may give. */
export const NEWS = { links: 1, ruleset: 2 } as const

export interface Native {
  readonly nflogOpen: (group: number, slots: number, out: [unknown]) => number
  readonly nflogDrain: CFunction
  readonly nflogClose: (handle: unknown) => void
  readonly flowsList: CFunction
  readonly flowsDelete: CFunction
  readonly linksList: (records: Uint8Array, capacity: number, total: [number]) => number
  readonly linksTidy: (index: number) => number
  readonly elementsList: (
    table: string,
    set: string,
    keys: Uint8Array,
    keyLength: number,
    capacity: number,
    total: [number],
  ) => number
  readonly elementsCounted: CFunction
  readonly keysSort: (keys: Uint8Array, keyLength: number, count: number) => void
  readonly elementsChange: CFunction
  readonly elementsApply: CFunction
  readonly lineOpen: (out: [unknown]) => number
  readonly lineHas: (line: unknown, table: string, set: string, key: Uint8Array, keyLength: number) => number
  readonly lineApply: CFunction
  readonly lineClose: (line: unknown) => void
  readonly rulesetRead: CFunction
  readonly floorOpen: (path: string, out: [unknown], reused: [number]) => number
  readonly floorClose: (handle: unknown) => void
  readonly floorAttach: (handle: unknown, index: number) => number
  readonly floorDetach: (index: number) => number
  readonly floorAttached: (index: number) => number
  readonly floorGuard: (
    handle: unknown,
    indexes: Uint32Array,
    indexCount: number,
    v4: Uint8Array,
    v4Count: number,
    v6: Uint8Array,
    v6Count: number,
  ) => number
  readonly floorDrops: (handle: unknown, drops: [bigint | number]) => number
  readonly newsOpen: (out: [unknown]) => number
  readonly newsRead: (handle: unknown) => number
  readonly newsClose: (handle: unknown) => void
}

/** `build/native` beside the package root, or SLUICE_NATIVE_DIR. */
export function nativeFile(name: string): string {
  const directory = process.env.SLUICE_NATIVE_DIR
  if (directory !== undefined && directory !== '') return `${directory}/${name}`
  return fileURLToPath(new URL(`../../../build/native/${name}`, import.meta.url))
}

let loaded: Native | undefined

/** Throws NFT_UNAVAILABLE or NFT_NATIVE_ABI. */
export function native(): Native {
  if (loaded) return loaded
  const path = nativeFile('libsluice_native.so')
  if (!existsSync(path)) throw nftablesFault('NFT_UNAVAILABLE', { library: path, why: 'it has not been built' })
  try {
    loaded = bind(koffi.load(path))
    return loaded
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'Fault') throw cause
    throw nftablesFault('NFT_UNAVAILABLE', { library: path, why: String(cause) }, { cause })
  }
}

function bind(lib: LibraryHandle): Native {
  const found = lib.func('uint32_t sluice_native_abi(void)')() as number
  if (found !== NATIVE_ABI) throw nftablesFault('NFT_NATIVE_ABI', { found, wanted: NATIVE_ABI })
  return {
    nflogOpen: lib.func('int sluice_nflog_open(uint16_t group, uint32_t slots, _Out_ void **out)'),
    nflogDrain: lib.func(
      'int sluice_nflog_drain(void *log, void *records, uint32_t capacity, uint32_t timeout_ms, void *lost)',
    ),
    nflogClose: lib.func('void sluice_nflog_close(void *log)'),
    flowsList: lib.func(
      'int sluice_flows_list(void *locals, uint32_t local_count, void *flows, uint32_t capacity, void *total)',
    ),
    flowsDelete: lib.func('int sluice_flows_delete(void *flows, uint32_t count)'),
    linksList: lib.func('int sluice_links_list(void *links, uint32_t capacity, _Out_ uint32_t *total)'),
    linksTidy: lib.func('int sluice_links_tidy(uint32_t ifindex)'),
    elementsList: lib.func(
      'int sluice_elements_list(const char *table, const char *set, void *keys, uint32_t key_length, uint32_t capacity, _Out_ uint32_t *total)',
    ),
    elementsCounted: lib.func(
      'int sluice_elements_counted(const char *table, const char *set, uint32_t key_length, void *keys, uint32_t capacity, void *moved, uint32_t moved_capacity, void *totals)',
    ),
    keysSort: lib.func('void sluice_keys_sort(void *keys, uint32_t key_length, uint32_t count)'),
    elementsChange: lib.func(
      'int sluice_elements_change(void *families, uint32_t family_count, const char *table, const char *set, void *keys, uint32_t key_length, uint32_t count, int add)',
    ),
    elementsApply: lib.func('int sluice_elements_apply(const char *table, void *elements, uint32_t count)'),
    lineOpen: lib.func('int sluice_line_open(_Out_ void **out)'),
    lineHas: lib.func(
      'int sluice_line_has(void *line, const char *table, const char *set, void *key, uint32_t key_length)',
    ),
    lineApply: lib.func('int sluice_line_apply(void *line, const char *table, void *elements, uint32_t count)'),
    lineClose: lib.func('void sluice_line_close(void *line)'),
    rulesetRead: lib.func(
      'int sluice_ruleset_read(uint8_t family, const char *table, void *records, uint32_t capacity, void *total)',
    ),
    floorOpen: lib.func('int sluice_floor_open(const char *path, _Out_ void **out, _Out_ uint32_t *reused)'),
    floorClose: lib.func('void sluice_floor_close(void *floor)'),
    floorAttach: lib.func('int sluice_floor_attach(void *floor, uint32_t ifindex)'),
    floorDetach: lib.func('int sluice_floor_detach(uint32_t ifindex)'),
    floorAttached: lib.func('int sluice_floor_attached(uint32_t ifindex)'),
    floorGuard: lib.func(
      'int sluice_floor_guard(void *floor, void *indexes, uint32_t index_count, void *v4, uint32_t v4_count, void *v6, uint32_t v6_count)',
    ),
    floorDrops: lib.func('int sluice_floor_drops(void *floor, _Out_ uint64_t *drops)'),
    newsOpen: lib.func('int sluice_news_open(_Out_ void **out)'),
    newsRead: lib.func('int sluice_news_read(void *news)'),
    newsClose: lib.func('void sluice_news_close(void *news)'),
  }
}

/** Runs a function of the library on a thread of the pool. */
export const onPool = (call: CFunction, ...values: unknown[]): Promise<number> =>
  new Promise((done, failed) => {
    call.async(...values, (problem: Error | null, result: number) => (problem ? failed(problem) : done(result)))
  })

export interface Link {
  readonly name: string
  readonly index: number
  readonly master: number
}

/** The interfaces of this namespace; throws NFT_READ. */
export function listLinks(): Link[] {
  for (let capacity = 256; ; capacity *= 4) {
    const records = new Uint8Array(capacity * LINK_OCTETS)
    const total: [number] = [0]
    const count = native().linksList(records, capacity, total)
    if (count < 0) throw nftablesFault('NFT_READ', { what: 'the interfaces', why: `errno ${-count}` })
    if (total[0] > capacity) continue
    const view = new DataView(records.buffer)
    return Array.from({ length: count }, (_, i) => ({
      name: textAt(records, i * LINK_OCTETS, 16),
      index: view.getUint32(i * LINK_OCTETS + 16, true),
      master: view.getUint32(i * LINK_OCTETS + 20, true),
    }))
  }
}

/** Text up to the first zero octet. */
export function textAt(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length)
  const end = field.indexOf(0)
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end))
}
