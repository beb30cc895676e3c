// `sluice evidence verify`: whether evidence is signed by an agent that somebody trusts, is meant for this verifier and this
// question, still holds, and establishes the four guarantees of an outer fence. Needs no node and no network.

import { decodeUtf8 } from '../../base/bytes.js'
import { formatInstant } from '../../bundle/instant.js'
import { readFile } from '../files.js'
import type { Declared } from '../frame.js'
import { facts, table } from '../print.js'
import type { AnchorView, EvidenceView } from '../witness-host.js'

export const evidenceVerify: Declared = {
  usage: 'verify <evidence>',
  summary: 'check signed evidence of a fence, offline',
  examples: [
    'sluice evidence verify evidence.jws --trust root.json --audience spiffe://fleet.example/verifier --nonce 0123456789abcdef0123456789abcdef',
  ],
  declare: (command) =>
    command
      .requiredOption('--trust <file>', 'trust root with keys of role agent, or the agent.pub.json of the node')
      .requiredOption('--audience <name>', 'who you are: evidence for others is refused')
      .requiredOption('--nonce <hex>', 'what you asked with: the answer to another question is refused'),
  run: async ({ host, paint }, [file = ''], options) => {
    const { trust, audience, nonce } = options as Record<'trust' | 'audience' | 'nonce', string>
    const keys = { file: trust, bytes: readFile(host, trust, 'trust root') }
    const token = decodeUtf8(readFile(host, file, 'evidence')) ?? ''
    const asked = { audience, nonce: nonce.toLowerCase(), nowMs: host.nowMs() }
    const { evidence, outerFence } = await host.witness.verifyEvidence(token, keys, asked)
    const { source, attachments, canaries } = evidence
    return {
      json: { outerFence, evidence },
      text: `${paint('green', 'established')}: ${outerFence.established.join(', ')}\n${facts([
        ['node', evidence.node],
        ['made at', `${formatInstant(evidence.madeAtMs)}, holds until ${formatInstant(evidence.expiresAtMs)}`],
        ['bundle', source ? `${source.bundleId}, revision ${source.policyRevision}, ${source.bundleDigest}` : 'none'],
        ['generation', `${evidence.generation}, plan ${evidence.planDigest ?? ''}`],
        ['evidence digest', outerFence.evidenceDigest],
      ])}\n${table(
        ['workspace', 'representor', 'backend', 'domain', 'attachment', 'tenure'],
        attachments.map((at) => [
          at.workspace,
          at.representor,
          at.backend,
          at.trustDomain,
          at.attachmentId,
          String(at.leaseGeneration),
        ]),
      )}\n${table(
        ['workspace', 'hook', 'on', 'judged by'],
        attachments.flatMap((at) => hooksOf(at)),
      )}\n${table(
        ['canary of', 'dropped', 'installed in', 'live flow cut in'],
        canaries.map((canary) => [
          canary.backend,
          String(canary.defaultDeny.countedDrops),
          `${canary.install.elapsedMs} ms`,
          `${canary.revoke.cutMs ?? 0} ms`,
        ]),
      )}`,
    }
  },
}

type Attachment = EvidenceView['evidence']['attachments'][number]

/** A row for each hook that is the workspace's own; what judges all of the namespace is in the JSON. */
const hooksOf = ({ workspace, anchor, storage, process }: Attachment): (readonly string[])[] =>
  [anchor, ...[storage, process?.blocks, process?.detects].flatMap((seen) => (seen ? [seen.anchor] : []))].flatMap(
    (one) =>
      !one || one.emulated
        ? [[workspace, 'emulated', '', '']]
        : one.hooks.filter(({ on }) => on !== '*').map(({ hook, on, owner }) => [workspace, hook, on, ownerOf(owner)]),
  )

function ownerOf(owner: AnchorView['hooks'][number]['owner']): string {
  switch (owner.kind) {
    case 'program':
      return `program ${owner.id}, tag ${owner.tag}`
    case 'chain':
      return `chain ${owner.name}, handle ${owner.handle}`
    case 'entry':
      return `entry ${owner.handle}`
    case 'rules':
      return `rules ${owner.digest}`
  }
}
