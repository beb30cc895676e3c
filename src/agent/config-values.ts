// What a single value of `agent.yaml` may be: each reader takes one node and gives the value, or says what was expected. The
// keys that use them are tables (config.ts, config-sections.ts).

import { resolve } from 'node:path'
import { parseIp } from '../base/ip.js'
import { nearest } from '../base/suggest.js'
import type { YamlNode } from '../base/yaml.js'
import type { BackendName } from '../plan/model.js'

/** Reads one value; a Wrong says what was expected instead. */
export type Read<T> = (
  node: YamlNode,
  context: { readonly directory: string; readonly known: readonly string[] },
) => T | Wrong

export class Wrong {
  constructor(
    readonly expected: string,
    readonly at?: YamlNode,
    readonly suggestion?: string,
  ) {}
}

export const text = (node: YamlNode): string | undefined =>
  node.kind === 'scalar' && typeof node.value === 'string' && node.value !== '' ? node.value : undefined

/** SPIFFE-ID section 2: a trust domain of lower-case letters, digits and `. _ -`, then path segments. */
const SPIFFE = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/
/** IFNAMSIZ leaves 15 characters; the shell's `*` and `?` may stand in for some. */
const INTERFACE_PATTERN = /^[A-Za-z0-9_.@:*?-]{1,15}$/

export const spiffeUri: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && value.length <= 2048 && SPIFFE.test(value)
    ? value
    : new Wrong('a SPIFFE URI such as spiffe://fleet.example/node/n1')
}
export const word: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,254}$/.test(value)
    ? value
    : new Wrong('a name of letters, digits and . _ : @ / + -')
}
/** As `lspci -D` and DOCA write it; without a domain it is the first. */
export const pciAddress: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^([0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(value)
    ? value
    : new Wrong('a PCI address such as 0000:03:00.0')
}
export const path: Read<string> = (node, { directory }) => {
  const value = text(node)
  return value === undefined || value.includes('\0')
    ? new Wrong('a path (relative to this file, or absolute)')
    : resolve(directory, value)
}
export const listOf =
  <T>(what: string, least: number, item: Read<T>): Read<readonly T[]> =>
  (node, context) => {
    if (node.kind !== 'seq' || node.items.length < least) return new Wrong(what)
    const out: T[] = []
    for (const entry of node.items) {
      const value = item(entry, context)
      if (value instanceof Wrong) return new Wrong(value.expected, value.at ?? entry, value.suggestion)
      if (out.includes(value)) return new Wrong('each value once', entry)
      out.push(value)
    }
    return out
  }
export const backend: Read<BackendName> = (node, { known }) => {
  const value = text(node)
  if (value !== undefined && known.includes(value)) return value as BackendName
  return new Wrong(`a backend of this release (${known.join(', ')})`, node, nearest(value ?? '', known))
}
export const interfaceName: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && INTERFACE_PATTERN.test(value) && !/[*?]/.test(value)
    ? value
    : new Wrong('the name of one interface, such as p0')
}
export const interfacePattern: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && INTERFACE_PATTERN.test(value) && !/^[*?]+$/.test(value)
    ? value
    : new Wrong('an interface name or a pattern such as "ws*" (not every interface: the node has its own)')
}

/** A caller of the API: one identity, or with `/*` every identity below a path. */
export const callerPattern: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && value.length <= 2048 && SPIFFE.test(value.replace(/\/\*$/, ''))
    ? value
    : new Wrong('a SPIFFE URI, or one that ends in /* for all below it')
}
/** An address of this machine with a port, as a server binds it. */
export const listenAddress: Read<string> = (node) => {
  const value = text(node)
  const [, v4, v6, port] = /^(?:([0-9.]+)|\[([0-9a-fA-F:.]+)\]):(\d{1,5})$/.exec(value ?? '') ?? []
  const good = parseIp(v4 ?? v6 ?? '') !== undefined && Number(port) <= 65_535
  return value !== undefined && good ? value : new Wrong('an address and a port, such as 127.0.0.1:7443 or [::1]:7443')
}
export const flag: Read<boolean> = (node) =>
  node.kind === 'scalar' && typeof node.value === 'boolean' ? node.value : new Wrong('true or false')
export const whole =
  (least: number, most: number): Read<number> =>
  (node) => {
    const value = node.kind === 'scalar' && typeof node.value === 'bigint' ? Number(node.value) : Number.NaN
    return value >= least && value <= most ? value : new Wrong(`a whole number from ${least} to ${most}`)
  }
/** A whole number of seconds, given in milliseconds. */
export const seconds =
  (least: number, most: number): Read<number> =>
  (node) => {
    const value = node.kind === 'scalar' && typeof node.value === 'bigint' ? Number(node.value) : Number.NaN
    if (value >= least && value <= most) return value * 1000
    return new Wrong(`a number of seconds from ${least} to ${most}`)
  }
/** What `sluice bundle pull` takes: an address, or the path of a published folder. */
export const sourceAddress: Read<string> = (node, context) => {
  const value = text(node)
  if (value === undefined || /[\0-\x20]/.test(value))
    return new Wrong('an address such as https://policy.example/published, or a path')
  return /^[a-z+]+:\/\//.test(value) ? value : path(node, context)
}
export const pin: Read<string> = (node) => {
  const value = text(node)
  return value !== undefined && /^[A-Za-z0-9+/]{43}=$/.test(value)
    ? value
    : new Wrong("the base64 of the SHA-256 of the server's public key, 44 characters")
}
/** One of a few words. */
export const oneOf =
  <const W extends string>(...words: readonly W[]): Read<W> =>
  (node) => {
    const value = text(node)
    const found = words.find((one) => one === value)
    return found ?? new Wrong(`one of ${words.join(', ')}`, node, nearest(value ?? '', words))
  }
