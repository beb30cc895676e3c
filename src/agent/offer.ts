// The bytes that somebody offered, before anything of them is trusted: their digest, what they claim to be, and what is
// done when they are refused. A refusal is told to the trail and remembered, and changes nothing else.

import { canonicalize } from '../base/canonical.js'
import { type Digest, digestOf, digestOfText } from '../base/digest.js'
import type { Fault } from '../base/fault.js'
import { inspectBundle } from '../bundle/inspect.js'
import type { BundleBytes } from '../bundle/model.js'
import type { ApplyCommand } from './command.js'
import { policyContext } from './context.js'
import { isAttack, rememberRefusal } from './decide.js'
import type { AgentNode, OnRecord } from './node.js'

/** What is known of the bytes when they are refused. */
export interface Offer {
  digest?: Digest
  // untrusted: all of it
  offered: { readonly bundleId?: string; readonly digest?: Digest; readonly policyRevision?: string }
}

/** What the bytes say about themselves, for the trail of a refusal. Throws when they exceed the limits for looking. */
export function claims(bytes: BundleBytes): Offer['offered'] {
  const { manifest, digest, release } = inspectBundle(bytes)
  const policyRevision = release?.policyRevision ?? manifest?.policyRevision
  return {
    ...(manifest ? { bundleId: manifest.id } : {}),
    ...(digest ? { digest } : {}),
    ...(policyRevision === undefined ? {} : { policyRevision: String(policyRevision) }),
  }
}

/** Everything that the verdict depends on: a new trust root or inventory makes it another question. */
export function digestOffered(node: AgentNode, command: ApplyCommand, bytes: BundleBytes): Digest {
  const { manifest, release, members } = bytes
  return digestOfText(
    canonicalize({
      manifest: digestOf(manifest),
      release: release ? digestOf(release) : null,
      members: Object.fromEntries([...members].map(([path, bytes]) => [path, digestOf(bytes)])),
      inventory: digestOf(command.inventory.yaml),
      signature: digestOf(command.inventory.signature),
      trust: node.trustDigest,
    }),
  )
}

/** Tells the trail, and remembers bytes that can never be accepted. */
export async function refuse(
  node: AgentNode,
  record: OnRecord,
  { digest, offered }: Offer,
  fault: Fault,
): Promise<void> {
  const atMs = node.nowMs()
  const held = record.state.live ? { held: policyContext(record.state.live) } : {}
  const { code, message: say } = fault
  await node.emit([{ kind: 'bundle-refused', atMs, code, say, offered, ...held, attack: isAttack(code) }])
  if (digest === undefined) return
  const state = node.store.load()
  const remembered = rememberRefusal(state, digest, fault, atMs)
  if (remembered !== state) node.store.save(remembered)
}
