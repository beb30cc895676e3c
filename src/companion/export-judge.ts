// What a line that came from an agent is to the copy of its trail: the next event, one that is there already, or one that has no
// place in it. Everything that does not hold is a finding with numbers, and no finding makes a line disappear: what follows is
// kept in the copy as it came, and what cannot follow is set aside.
//
// Trust: the line is judged by its own fingerprint and by that of the event before, as the agent's journal is (audit/verify.ts).
// An agent that lies consistently from the beginning is not found here; its seals and evidence are about that.

import { type ChainPoint, following, type HashText, type Link, readLink } from '../audit/chain.js'
import type { TrailBroken } from '../audit/fact-export.js'

export type Finding = Omit<TrailBroken, 'kind' | 'atMs' | 'node'>

export type Judged =
  | { readonly kind: 'next'; readonly link: Link; readonly findings: readonly Finding[] }
  | { readonly kind: 'known' }
  | { readonly kind: 'aside'; readonly finding: Finding }

// untrusted: `line`, one character an octet, as the agent sent it.
/** `before` is the last event of the copy; undefined: it has none, and begins with whatever the agent still has. */
export function judge(before: ChainPoint | undefined, line: string, hash: HashText): Judged {
  const link = readLink(line, hash)
  if (!link) {
    const sequence = (before?.sequence ?? 0) + 1
    return { kind: 'aside', finding: about('unreadable', before?.chain ?? '', sequence, sequence) }
  }
  const { chain, sequence, fingerprint } = link
  const edited = link.intact ? [] : [about('edited', chain, sequence, sequence)]
  if (before === undefined) return { kind: 'next', link, findings: edited }
  switch (following(before, link)) {
    case 'follows':
      return { kind: 'next', link, findings: edited }
    case 'events-missing':
      return {
        kind: 'next',
        link,
        findings: [about('events-missing', chain, before.sequence + 1, sequence - 1), ...edited],
      }
    case 'predecessor-differs': {
      const came = link.before?.fingerprint
      const forked = {
        ...about('forked', chain, before.sequence, before.sequence),
        expected: before.fingerprint,
        ...(came === undefined ? {} : { came }),
      }
      return { kind: 'next', link, findings: [forked, ...edited] }
    }
    case 'another-chain': {
      const replaced = {
        ...about('replaced', before.chain, before.sequence, before.sequence),
        expected: before.fingerprint,
        came: fingerprint,
      }
      const missing = sequence === 1 ? [] : [about('events-missing', chain, 1, sequence - 1)]
      return { kind: 'next', link, findings: [replaced, ...missing, ...edited] }
    }
    case 'out-of-order':
      // A stream that was taken up again begins with the event that is held already, so that both can be compared.
      if (sequence === before.sequence && fingerprint === before.fingerprint) {
        const [changed] = edited
        return changed ? { kind: 'aside', finding: changed } : { kind: 'known' }
      }
      return {
        kind: 'aside',
        finding: {
          ...about('forked', chain, sequence, sequence),
          ...(sequence === before.sequence ? { expected: before.fingerprint } : {}),
          came: fingerprint,
        },
      }
  }
}

const about = (found: Finding['found'], chain: string, fromSequence: number, toSequence: number): Finding => ({
  found,
  chain,
  fromSequence,
  toSequence,
})
