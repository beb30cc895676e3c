// Elements of sets as nft's JSON lists them, brought back to the text in which they were written, so that what is in the
// kernel can be compared with what was meant.

import { formatIp, parseIp } from '../../base/ip.js'
import type { NftElement, NftObject } from './libnftables.js'

export interface ReadElement {
  /** As `elementOf` writes it. */
  readonly key: string
  readonly value?: string
  readonly comment?: string
  readonly expiresS?: number
  readonly packets: bigint
  readonly bytes: bigint
}

const PROTOCOLS: Readonly<Record<string, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'ipv6-icmp' }

/** The elements of the one set or map of a listing. */
export function elementsOf(objects: readonly NftObject[]): ReadElement[] {
  const found = objects.find((object) => object.set ?? object.map)
  return (found?.set?.elem ?? found?.map?.elem ?? []).map(readElement)
}

interface Wrapped {
  readonly val: unknown
  readonly comment?: string
  readonly expires?: number
  readonly counter?: { readonly packets: number; readonly bytes: number }
}

export function readElement(element: NftElement): ReadElement {
  // A map lists [key, value] pairs.
  const [outer, value] = Array.isArray(element) ? (element as unknown[]) : [element, undefined]
  const wrapped = isRecord(outer) && isRecord(outer.elem) ? (outer.elem as unknown as Wrapped) : undefined
  return {
    key: keyText(wrapped ? wrapped.val : outer),
    ...(value === undefined ? {} : { value: valueText(value) }),
    ...(wrapped?.comment === undefined ? {} : { comment: wrapped.comment }),
    ...(wrapped?.expires === undefined ? {} : { expiresS: wrapped.expires }),
    packets: BigInt(wrapped?.counter?.packets ?? 0),
    bytes: BigInt(wrapped?.counter?.bytes ?? 0),
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function keyText(value: unknown): string {
  if (isRecord(value) && Array.isArray(value.concat)) {
    return value.concat.map((part, at) => (at > 0 && PROTOCOLS[String(part)]) || partText(part)).join(' . ')
  }
  return partText(value)
}

function partText(value: unknown): string {
  if (isRecord(value) && isRecord(value.prefix)) return `${addressText(value.prefix.addr)}/${String(value.prefix.len)}`
  if (isRecord(value) && Array.isArray(value.range)) return value.range.map(addressText).join('-')
  return addressText(value)
}

/** Addresses in the one form that base/ip.ts prints. */
function addressText(value: unknown): string {
  const text = String(value)
  const ip = parseIp(text)
  return ip ? formatIp(ip) : text
}

function valueText(value: unknown): string {
  if (isRecord(value) && isRecord(value.goto)) return `goto ${String(value.goto.target)}`
  if (isRecord(value) && isRecord(value.jump)) return `jump ${String(value.jump.target)}`
  return JSON.stringify(value) === undefined ? '' : String(value)
}
