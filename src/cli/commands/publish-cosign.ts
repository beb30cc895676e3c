// `sluice publish cosign`: adds one person's signature to a statement file of any kind, for people who hold different keys.
// With --trust it says how far the statement is from its threshold; a root counts by the root it follows and by itself.

import { kindOf } from '../../bundle/publish.js'
import { rootProgress } from '../../bundle/publish-root.js'
import { parseTrustRoot } from '../../bundle/root.js'
import { coSign } from '../../bundle/sign.js'
import { STATEMENTS } from '../../bundle/statement.js'
import { readFile, writeFile } from '../files.js'
import { collect, type Declared } from '../frame.js'
import { facts } from '../print.js'
import { progressFacts, progressUnder, signersFrom } from '../signing.js'

export const publishCosign: Declared = {
  usage: 'cosign <file>',
  summary: 'add a signature to a release, root, freshness or break-glass statement',
  examples: ['sluice publish cosign my-bundle/release.jws.json --key keys/release-2.key --trust root.json'],
  declare: (command) =>
    command
      .requiredOption('--key <key...>', 'private keys of the role that signs this kind', collect)
      .option('--trust <file>', 'trust root, to count the signatures'),
  run: async ({ host }, [file = ''], options) => {
    const { key, trust } = options as { key: readonly string[]; trust?: string }
    let signed = readFile(host, file, 'statement')
    const kind = kindOf(signed)
    const signers = signersFrom(host, key)
    for (const signer of signers) signed = await coSign(kind, signed, signer)
    writeFile(host, file, signed, { replace: true })
    const added = signers.map(({ kid }) => kid)
    const head = [
      ['kind', STATEMENTS[kind].what],
      ['added', added.join(', ')],
    ] as const
    if (kind !== 'root' || trust === undefined) {
      const progress = await progressUnder(host, trust, kind, signed)
      return {
        json: { file, kind, added, progress: progress ?? null },
        text: `signed ${file}\n${facts([...head, ...progressFacts(progress)])}`,
      }
    }
    const progress = await rootProgress(parseTrustRoot(readFile(host, trust, 'trust root')), signed)
    return {
      json: { file, kind, added, progress },
      text: `signed ${file}\n${facts([...head, ...rootFacts(progress)])}`,
    }
  },
}

export const rootFacts = (progress: Awaited<ReturnType<typeof rootProgress>>): (readonly [string, string])[] => [
  ['version', String(progress.version)],
  ['by current keys', `${progress.current.signers.length} of ${progress.current.need}`],
  ['by its own keys', `${progress.next.signers.length} of ${progress.next.need}`],
  ['threshold', progress.complete ? 'met' : 'not met yet'],
]
