// The table of exact grants: buckets of one cache line, four grants of IPv4 or two of IPv6 in each, built once and never changed.
// What finds its bucket full goes to the table of facts under its whole key, and the bucket says so; an author who made many
// grants fall into one bucket would make lookups slower, never wrong. src/native/bpf/fence_grants.h reads it.
//
// A map of the kernel chains: a packet that meets a million grants there misses the cache for the chain's head and for each
// link. Here it misses once.

import { BUCKET, KIND_V6, STRUCTS, viewOf } from './layout.js'
import type { Rows } from './program.js'

export interface ExactGrant {
  /** `struct fence_exact_key`. */
  readonly key: DataView
  /** Index of the grant in the program. */
  readonly grant: number
}

export interface Buckets extends Rows {
  readonly mask4: number
  readonly mask6: number
  /** Those that found no room. */
  readonly over: readonly ExactGrant[]
}

const KEY = STRUCTS.fence_exact_key.fields
const ROW4 = STRUCTS.fence_exact4
const ROW6 = STRUCTS.fence_exact6

const stir = (hash: number, word: number): number => {
  const next = Math.imul(hash ^ word, 0x9e3779b1)
  return next ^ (next >>> 15)
}
const stirred = (hash: number): number => {
  const next = Math.imul(hash, 0x85ebca6b)
  return (next ^ (next >>> 13)) >>> 0
}

/** What both families end their hash with: workspace, port, protocol and kind. */
const ending = (hash: number, key: DataView): number =>
  stirred(stir(stir(hash, key.getUint32(KEY.index, true)), key.getUint32(KEY.port, true)))

export function hash4(key: DataView): number {
  return ending(stir(0, key.getUint32(KEY.address, true)), key)
}

export function hash6(key: DataView): number {
  let hash = 0
  for (let i = 0; i < 16; i += 4) hash = stir(hash, key.getUint32(KEY.address + i, true))
  return ending(hash, key)
}

/** Twice as many places as grants, and at least one bucket. */
const maskFor = (grants: number, places: number): number => {
  let buckets = 1
  while (buckets * places < 2 * grants) buckets *= 2
  return buckets - 1
}

export function bucketsOf(grants: readonly ExactGrant[]): Buckets {
  const isV6 = (one: ExactGrant): boolean => (one.key.getUint8(KEY.kind) & KIND_V6) !== 0
  const six = grants.filter(isV6)
  const mask4 = maskFor(grants.length - six.length, BUCKET.v4)
  const mask6 = maskFor(six.length, BUCKET.v6)
  const count = mask4 + mask6 + 2
  const values = new Uint8Array(count * BUCKET.size)
  const view = viewOf(values)
  const over: ExactGrant[] = []
  for (const one of grants) {
    const { key } = one
    const v6 = isV6(one)
    const row = v6 ? ROW6 : ROW4
    const places = v6 ? BUCKET.v6 : BUCKET.v4
    const bucket = (v6 ? mask4 + 1 + (hash6(key) & mask6) : hash4(key) & mask4) * BUCKET.size
    let place = 0
    while (place < places && view.getUint32(bucket + place * row.size + row.fields.grant, true) !== 0) place++
    if (place === places) {
      over.push(one)
      const last = bucket + (places - 1) * row.size + row.fields.grant
      view.setUint32(last, (view.getUint32(last, true) | BUCKET.full) >>> 0, true)
      continue
    }
    const at = bucket + place * row.size
    for (let i = 0; i < (v6 ? 16 : 4); i += 4)
      view.setUint32(at + row.fields.address + i, key.getUint32(KEY.address + i, true), true)
    view.setUint32(at + row.fields.index, key.getUint32(KEY.index, true), true)
    view.setUint32(at + row.fields.port, key.getUint32(KEY.port, true), true)
    view.setUint32(at + row.fields.grant, one.grant + 1, true)
  }
  return { values, count, mask4, mask6, over }
}

/** Every grant of the buckets, with the key that it has in the table of facts. */
export function* entriesOf({ values, mask4, mask6 }: Omit<Buckets, 'over' | 'count'>): Generator<ExactGrant> {
  const view = viewOf(values)
  for (let bucket = 0; bucket < mask4 + mask6 + 2; bucket++) {
    const v6 = bucket > mask4
    const row = v6 ? ROW6 : ROW4
    for (let place = 0; place < (v6 ? BUCKET.v6 : BUCKET.v4); place++) {
      const at = bucket * BUCKET.size + place * row.size
      const grant = view.getUint32(at + row.fields.grant, true) & ~BUCKET.full
      if (grant === 0) continue
      const key = new DataView(new ArrayBuffer(STRUCTS.fence_exact_key.size))
      for (let i = 0; i < (v6 ? 16 : 4); i += 4)
        key.setUint32(KEY.address + i, view.getUint32(at + row.fields.address + i, true), true)
      key.setUint32(KEY.index, view.getUint32(at + row.fields.index, true), true)
      key.setUint32(KEY.port, view.getUint32(at + row.fields.port, true), true)
      yield { key, grant: grant - 1 }
    }
  }
}
