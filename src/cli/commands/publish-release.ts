// `sluice publish release`, `promote` and `bundle rollback`: the next release statement for content that its author has
// signed. Each writes a whole bundle, so that what is pushed is one thing. More signatures come with `publish cosign`.

import type { Command } from 'commander'
import { formatInstant } from '../../bundle/instant.js'
import { type BundleBytes, MANIFEST_FILE, RELEASE_FILE, type Release } from '../../bundle/model.js'
import { promote, readRelease, succeed } from '../../bundle/publish.js'
import { makeRelease, signRelease } from '../../bundle/sign.js'
import { cliFault } from '../errors.js'
import { writeFile } from '../files.js'
import { type Context, collect, counting, type Declared, instant, revision } from '../frame.js'
import type { Outcome } from '../outcome.js'
import { facts } from '../print.js'
import { progressFacts, progressUnder, signWith } from '../signing.js'

interface Terms {
  readonly revision: bigint
  readonly expires: number
  readonly notBefore?: number
  readonly key: readonly string[]
  readonly trust?: string
}

const withTerms = (command: Command): Command =>
  command
    .requiredOption('--revision <number>', 'policy revision, higher than every earlier one of the channel', revision)
    .requiredOption('--expires <time>', 'end of validity', instant)
    .option('--not-before <time>', 'begin of validity; now when left out', instant)
    .requiredOption('--key <key...>', 'private keys of role release', collect)
    .option('--trust <file>', 'trust root, to count the signatures')

const windowOf = (context: Context, terms: Terms) => ({
  policyRevision: terms.revision,
  notBeforeMs: terms.notBefore ?? context.host.nowMs(),
  expiresAtMs: terms.expires,
})

export const publishRelease: Declared = {
  usage: 'release <directory>',
  summary: 'release a bundle that its author has signed, for a channel and audiences',
  examples: [
    'sluice publish release my-bundle --revision 8 --channel canary --audience fleet.example/dev --expires 2027-01-31T00:00:00Z --key keys/release-1.key --trust root.json',
  ],
  declare: (command) =>
    withTerms(command)
      .requiredOption('--audience <name...>', 'fleets or nodes that may take it', collect)
      .option('--channel <name>', 'the channel it is released on', 'stable')
      .option('--epoch <number>', 'epoch of the trust root', counting, 1),
  run: async (context, [directory = ''], options) => {
    const terms = options as unknown as Terms & Pick<Release, 'channel' | 'audience' | 'epoch'>
    const bundle = await context.host.readBundle(directory)
    const { channel, audience, epoch } = terms
    const release = makeRelease(bundle.manifest, bundle.members, {
      channel,
      audience,
      epoch,
      ...windowOf(context, terms),
    })
    const file = `${directory}/${RELEASE_FILE}`
    const signed = await signWith(context.host, terms.key, (signer, before) => signRelease(release, signer, before))
    writeFile(context.host, file, signed, { replace: true })
    return report(context, release, signed, terms, file)
  },
}

export const publishPromote: Declared = {
  usage: 'promote <bundle>',
  summary: 'put the very bundle that one channel has on another one',
  examples: [
    'sluice publish promote canary.tgz --to stable --over stable.tgz --revision 12 --expires 2027-01-31T00:00:00Z --key keys/release-1.key --out promoted',
  ],
  declare: (command) =>
    withTerms(command)
      .requiredOption('--to <channel>', 'the channel that gets it')
      .option('--over <bundle>', 'what that channel has now, so that the revision is checked')
      .requiredOption('--out <directory>', 'where the promoted bundle is written'),
  run: async (context, [path = ''], options) => {
    const terms = options as unknown as Terms & { to: string; over?: string; out: string }
    const bundle = await context.host.readBundle(path)
    const over = terms.over === undefined ? undefined : releaseIn(await context.host.readBundle(terms.over), terms.over)
    const release = promote(releaseIn(bundle, path), bundle, { ...windowOf(context, terms), channel: terms.to }, over)
    return writeOut(context, bundle, release, terms, terms.out)
  },
}

export const bundleRollback: Declared = {
  usage: 'rollback <current>',
  summary: 'release older content again, under a higher revision',
  examples: [
    'sluice bundle rollback current.tgz --to older.tgz --revision 13 --expires 2027-01-31T00:00:00Z --key keys/release-1.key --out back',
  ],
  declare: (command) =>
    withTerms(command)
      .requiredOption('--to <bundle>', 'the older bundle, as its author signed it')
      .requiredOption('--out <directory>', 'where the bundle is written'),
  run: async (context, [path = ''], options) => {
    const terms = options as unknown as Terms & { to: string; out: string }
    const current = releaseIn(await context.host.readBundle(path), path)
    const older = await context.host.readBundle(terms.to)
    return writeOut(context, older, succeed(current, older, windowOf(context, terms)), terms, terms.out)
  },
}

function releaseIn(bundle: BundleBytes, path: string): Release {
  if (bundle.release === undefined) throw cliFault('CLI_NOT_RELEASED', { path })
  return readRelease(bundle.release)
}

async function writeOut(
  context: Context,
  bundle: BundleBytes,
  release: Release,
  terms: Terms,
  out: string,
): Promise<Outcome> {
  const { host } = context
  const signed = await signWith(host, terms.key, (signer, before) => signRelease(release, signer, before))
  writeFile(host, `${out}/${MANIFEST_FILE}`, bundle.manifest)
  for (const [path, content] of bundle.members) writeFile(host, `${out}/${path}`, content)
  writeFile(host, `${out}/${RELEASE_FILE}`, signed)
  return report(context, release, signed, terms, out)
}

async function report(
  { host }: Context,
  release: Release,
  signed: Uint8Array,
  { trust }: Terms,
  file: string,
): Promise<Outcome> {
  const progress = await progressUnder(host, trust, 'release', signed)
  const { bundleId, bundleDigest, policyRevision, epoch, channel, audience, notBeforeMs, expiresAtMs } = release
  return {
    json: { file, id: bundleId, digest: bundleDigest, revision: policyRevision, epoch, channel, audience, progress },
    text: `released ${file}\n${facts([
      ['id', bundleId],
      ['digest', bundleDigest],
      ['revision', String(policyRevision)],
      ['channel', channel],
      ['audience', audience.join(', ')],
      ['valid', `${formatInstant(notBeforeMs)} to ${formatInstant(expiresAtMs)}`],
      ...progressFacts(progress),
    ])}`,
  }
}
