// Our nouns as OCSF objects: workspace, node, bundle, grant, ends of a flow. Each gives an object that meets its own
// constraints whatever the values are; what is not an address goes where a name goes.
// untrusted: names, addresses and ports come from packets and from refused documents.

import type { Json } from '../../base/canonical.js'
import { formatIp, parseIp } from '../../base/ip.js'
import { parseMac } from '../../base/mac.js'
import type { FlowEnds, PolicyContext, WorkspaceContext } from '../fact.js'
import { type Members, type OcsfContext, present, whole, words } from './event.js'

/** `device.type_id` 6 is Virtual: OCSF has no object for a workspace. */
export const workspaceDevice = (workspace: WorkspaceContext): Members =>
  present({
    type_id: 6,
    uid: words(workspace.workspace) ?? 'unknown',
    interface_uid: words(workspace.attachmentId),
    interface_name: words(workspace.interface),
  })

/** `device.type_id` 1 is Server. */
export const nodeDevice = (context: OcsfContext): Members =>
  present({
    type_id: 1,
    uid: words(context.reporter.uid) ?? 'unknown',
    hostname: words(context.reporter.hostname),
  })

/** Who carried it out: the agent of this node. */
export const agentActor = (context: OcsfContext): Members =>
  present({ app_name: 'sluice-agent', app_uid: words(context.reporter.uid) })

/** What is known of a bundle; less is known of a refused one. */
type Bundle = Partial<Omit<PolicyContext, 'generation'>>

/** `policy`: digest, name and revision of the bundle. The type is there so that one of name, type and uid always is. */
export const bundlePolicy = (bundle: Bundle, applied: boolean): Members =>
  present({
    type: 'bundle',
    uid: words(bundle.bundleDigest),
    name: words(bundle.bundleId),
    version: words(bundle.policyRevision),
    is_applied: applied,
  })

/** `managed_entity` of type 5, Policy. */
export const bundleEntity = (bundle: Bundle, applied: boolean): Members =>
  present({
    type_id: 5,
    uid: words(bundle.bundleId) ?? words(bundle.bundleDigest),
    version: words(bundle.policyRevision),
    policy: bundlePolicy(bundle, applied),
  })

/** The same three numbers under one spelling in every event, for queries; the generation where one is live. */
export const bundleNumbers = (policy: Bundle & { readonly generation?: number }): Members =>
  present({
    bundle_digest: words(policy.bundleDigest),
    policy_revision: words(policy.policyRevision),
    generation: whole(policy.generation),
  })

export function connection(flow: FlowEnds): Members {
  const ip = parseIp(flow.destination) ?? parseIp(flow.source)
  const protocol = whole(flow.protocol)
  return present({
    direction_id: flow.direction === 'egress' ? 2 : 1,
    protocol_num: protocol !== undefined && protocol <= 255 ? protocol : undefined,
    protocol_ver_id: ip?.family,
  })
}

/** `network_endpoint`: canonical address and port; a MAC for a frame without addresses; else a name. */
export function endpoint(address: string, port: number | undefined): Members {
  const ip = parseIp(address)
  const mac = ip ? undefined : parseMac(address)
  const number = whole(port)
  return present({
    ip: ip && formatIp(ip),
    mac,
    name: ip ? undefined : (words(address) ?? 'unknown'),
    port: number !== undefined && number <= 65535 ? number : undefined,
  })
}

/** `unmapped`, or nothing when there is nothing in it. */
export function unmapped(members: Members): Members | undefined {
  const out = present(members)
  return Object.keys(out).length === 0 ? undefined : out
}

/** A list of words without the empty ones. */
export const wordList = (list: readonly string[]): Json =>
  list.map((item) => words(item)).filter((item) => item !== undefined)

export const endsOf = (flow: FlowEnds): Members => ({
  src_endpoint: endpoint(flow.source, flow.sourcePort),
  dst_endpoint: endpoint(flow.destination, flow.destinationPort),
  connection_info: connection(flow),
})

export function flowWords(flow: FlowEnds): string {
  const port = whole(flow.destinationPort)
  const to = words(flow.destination) ?? 'unknown'
  return `${flow.direction} ${words(flow.source) ?? 'unknown'} > ${to}${port === undefined ? '' : ` port ${port}`}`
}
