// The shape of a FencePolicy as a table of readers, mirroring schema/fence-policy.schema.json. The schema is what refuses;
// this gives typed values with their places to the checks of meaning.

import { integer, listOf, located, mapOf, object, type Read, text } from '../shape.js'

/** A port or a range as its author wrote it: 443 or "8000-8100"; 0443 and 0x1bb stay what they are, and are refused. */
const portText: Read<{ readonly value: string; readonly at: { line: number; column: number; path: string } }> = (
  node,
  spot,
) =>
  node.kind === 'scalar' && (node.type === 'int' || node.type === 'string')
    ? { value: node.type === 'int' ? node.source : String(node.value), at: spot }
    : undefined

const count = integer(1, Number.MAX_SAFE_INTEGER)

const egress = object(
  {
    name: text,
    hosts: listOf(located),
    cidrs: listOf(located),
    protocol: text,
    ports: listOf(portText),
    allowed_ips: listOf(located),
  },
  { what: 'egress' },
)
const ingress = object(
  { name: text, from: listOf(located), protocol: text, ports: listOf(portText), session: text },
  { what: 'ingress' },
)
const volume = object(
  { name: text, read_only: listOf(located), read_write: listOf(located), deny: listOf(located), open_files: text },
  { what: 'a volume' },
)
const process = object({ allow_exec: listOf(located), detect: listOf(located), reaction: text }, { what: 'process' })

export const fence = object(
  {
    apiVersion: text,
    kind: text,
    metadata: object({ name: text, description: text }, { what: 'metadata' }),
    applies_to: object({ workspaces: listOf(located) }, { what: 'applies_to' }),
    sandboxPolicy: object({ path: text, profile: text, role: text }, { what: 'sandboxPolicy' }),
    delegate: listOf(located),
    review: listOf(text),
    require_domain: text,
    on_expiry: text,
    data_classification: object({ uri: text, digest: text }, { what: 'data_classification' }),
    egress: listOf(egress),
    observe: object({ until: located, names: listOf(located) }, { what: 'observe' }),
    ingress: listOf(ingress),
    dns: object({ pins: mapOf(listOf(located)) }, { what: 'dns' }),
    quotas: object(
      { connections_per_second: count, live_connections: count, bytes_per_second: count },
      { what: 'quotas' },
    ),
    storage: object({ volumes: listOf(volume) }, { what: 'storage' }),
    process,
  },
  { what: 'a FencePolicy' },
)

export type FenceFound = NonNullable<ReturnType<typeof fence>>
export type ObserveFound = NonNullable<FenceFound['of']['observe']>
export type EgressFound = NonNullable<ReturnType<typeof egress>>
export type IngressFound = NonNullable<ReturnType<typeof ingress>>
export type VolumeFound = NonNullable<ReturnType<typeof volume>>
export type ProcessFound = NonNullable<ReturnType<typeof process>>
