// `sluice bundle sign`: writes `bundle.yaml` over the members of a directory with the author's signature, and
// `release.jws.json` with each release key's. Without --author it adds release signatures to a bundle that is signed
// already, for people who hold different keys.

import { basename, resolve } from 'node:path'
import { inspectBundle } from '../../bundle/inspect.js'
import { formatInstant } from '../../bundle/instant.js'
import { readPrivateKey, signerOf } from '../../bundle/key-file.js'
import { MANIFEST_FILE, RELEASE_FILE } from '../../bundle/model.js'
import { coSign, makeManifest, makeRelease, signManifest, signRelease } from '../../bundle/sign.js'
import { cliFault } from '../errors.js'
import { readFile, writeFile } from '../files.js'
import { type Context, collect, counting, type Declared, instant, revision } from '../frame.js'
import type { Outcome } from '../outcome.js'
import { facts } from '../print.js'

interface SignOptions {
  readonly author?: string
  readonly release: readonly string[]
  readonly revision?: bigint
  readonly audience?: readonly string[]
  readonly channel: string
  readonly expires?: number
  readonly notBefore?: number
  readonly id?: string
  readonly description?: string
  readonly epoch: number
}

export const bundleSign: Declared = {
  usage: 'sign <directory>',
  summary: 'sign a directory of policies as a bundle, or add a release signature',
  examples: [
    'sluice bundle sign my-bundle --author keys/author.key --release keys/release-1.key --revision 7 --audience fleet.example/dev --channel stable --expires 2027-01-31T00:00:00Z',
    'sluice bundle sign my-bundle --release keys/release-2.key',
  ],
  declare: (command) =>
    command
      .option('--author <key>', 'private key of the author; left out: only add release signatures')
      .requiredOption('--release <key...>', 'private keys that release the bundle', collect)
      .option('--revision <number>', 'policy revision, higher than every earlier one', revision)
      .option('--audience <name...>', 'fleets or nodes that may take it', collect)
      .option('--channel <name>', 'the channel it is released on', 'stable')
      .option('--expires <time>', 'end of validity', instant)
      .option('--not-before <time>', 'begin of validity; now when left out', instant)
      .option('--id <id>', 'bundle id; that of the bundle so far, or the name of the directory, when left out')
      .option('--description <text>', 'one line for people')
      .option('--epoch <number>', 'epoch of the trust root', counting, 1),
  run: async (context, [directory = ''], options) => {
    const wanted = options as unknown as SignOptions
    return wanted.author === undefined ? coSignRelease(context, directory, wanted) : signAll(context, directory, wanted)
  },
}

const signerFrom = (context: Context, path: string) =>
  signerOf(readPrivateKey(readFile(context.host, path, 'private key')))

async function signAll(context: Context, directory: string, options: SignOptions): Promise<Outcome> {
  const { host } = context
  const { author = '', audience, expires, revision: policyRevision, channel, epoch, description } = options
  if (audience === undefined || expires === undefined || policyRevision === undefined)
    throw cliFault('CLI_SIGN_TERMS', { missing: missing({ audience, expires, revision: policyRevision }) })
  const members = await host.readMembers(directory)
  const notBeforeMs = options.notBefore ?? host.nowMs()
  const validity = { notBeforeMs, expiresAtMs: expires }
  const id = options.id ?? (await idSoFar(context, directory)) ?? basename(resolve(host.cwd, directory))
  const described = description === undefined ? {} : { description }
  const payload = makeManifest({ id, ...described, policyRevision, ...validity }, members)
  const manifest = await signManifest(payload, signerFrom(context, author))
  const release = makeRelease(manifest, members, { policyRevision, epoch, channel, audience, ...validity })
  let signed: Uint8Array | undefined
  for (const key of options.release) signed = await signRelease(release, signerFrom(context, key), signed)
  writeFile(host, `${directory}/${MANIFEST_FILE}`, manifest, { replace: true })
  writeFile(host, `${directory}/${RELEASE_FILE}`, signed ?? new Uint8Array(0), { replace: true })
  const { bundleDigest } = release
  return {
    json: {
      id,
      digest: bundleDigest,
      revision: policyRevision,
      epoch,
      channel,
      audience,
      members: [...members.keys()],
    },
    text: `signed ${directory}\n${facts([
      ['id', id],
      ['revision', String(policyRevision)],
      ['digest', bundleDigest],
      ['valid', `${formatInstant(notBeforeMs)} to ${formatInstant(expires)}`],
      ['audience', audience.join(', ')],
      ['channel', channel],
      ['members', [...members.keys()].join(', ')],
    ])}`,
  }
}

const missing = (terms: Readonly<Record<string, unknown>>): string =>
  Object.entries(terms)
    .filter(([, value]) => value === undefined)
    .map(([name]) => `--${name}`)
    .join(', ')

/** The id that the directory's bundle has, when it was signed before. Nothing rests on it: the author signs what is printed. */
async function idSoFar(context: Context, directory: string): Promise<string | undefined> {
  try {
    return inspectBundle(await context.host.readBundle(directory)).manifest?.id
  } catch {
    // Not signed before, or not readable as a bundle: then it has no id yet.
    return undefined
  }
}

async function coSignRelease(context: Context, directory: string, options: SignOptions): Promise<Outcome> {
  const path = `${directory}/${RELEASE_FILE}`
  let signed = readFile(context.host, path, 'release')
  const signers: string[] = []
  for (const key of options.release) {
    const signer = signerFrom(context, key)
    signed = await coSign('release', signed, signer)
    signers.push(signer.kid)
  }
  writeFile(context.host, path, signed, { replace: true })
  return { json: { file: path, added: signers }, text: `added to ${path}: ${signers.join(', ')}\n` }
}
