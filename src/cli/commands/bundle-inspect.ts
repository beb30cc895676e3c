// `sluice bundle inspect`: what a bundle says about itself. Nothing of it is verified, and every line of the output says so.

import { inspectBundle } from '../../bundle/inspect.js'
import { formatInstant } from '../../bundle/instant.js'
import type { Declared } from '../frame.js'
import { facts, table } from '../print.js'

export const bundleInspect: Declared = {
  usage: 'inspect <bundle>',
  summary: 'show what a bundle says about itself, unverified',
  examples: ['sluice bundle inspect my-bundle.tgz'],
  run: async ({ host, paint, notes }, [path = '']) => {
    const seen = inspectBundle(await host.readBundle(path))
    const { manifest, release, author } = seen
    const window = (at: { notBeforeMs: number; expiresAtMs: number }): string =>
      `${formatInstant(at.notBeforeMs)} to ${formatInstant(at.expiresAtMs)}`
    const text = [
      `${paint('yellow', 'unverified')}: what the files say about themselves\n`,
      facts([
        ['id', manifest?.id ?? '(cannot be read)'],
        ['revision', manifest ? String(manifest.policyRevision) : '(cannot be read)'],
        ['digest', seen.digest ?? '(cannot be read)'],
        ['author', author.problem ?? `${author.keyid ?? '(no key id)'}, ${author.alg ?? ''}`],
        ['valid', manifest ? window(manifest) : '(cannot be read)'],
        ['release', describeRelease(seen)],
        ...(release
          ? ([
              ['released', window(release)],
              ['audience', release.audience.join(', ')],
              ['channel', release.channel],
            ] as const)
          : []),
      ]),
      table(
        ['member', 'octets', 'listed', 'sha-256'],
        seen.members.map((member) => [member.path, String(member.size), member.listed ? 'yes' : 'no', member.sha256]),
      ),
    ].join('')
    return { json: seen, text, remarks: notes(seen.notes) }
  },
}

function describeRelease(seen: ReturnType<typeof inspectBundle>): string {
  if (seen.releaseProblem) return `${seen.releaseProblem.code}: ${seen.releaseProblem.say}`
  if (!seen.release) return 'none'
  return `revision ${seen.release.policyRevision}, epoch ${seen.release.epoch}, signed by ${seen.releasers.join(', ') || 'nobody'}`
}
