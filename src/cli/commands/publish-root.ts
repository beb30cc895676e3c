// `sluice publish rotate` and `revoke`: the root that follows the current one, with keys added, taken out or revoked. It
// counts when thresholds of the current root's keys and of its own have signed; nodes follow it from a channel.

import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { base64url, decodeBase64url, decodeUtf8 } from '../../base/bytes.js'
import { isObject, JsonError, parseJson } from '../../base/json.js'
import { bundleFault } from '../../bundle/errors.js'
import { formatInstant } from '../../bundle/instant.js'
import { enrollKey, isKeyAlg } from '../../bundle/keys.js'
import type { KeyRole, TrustedKey, TrustRoot } from '../../bundle/model.js'
import { nextRoot, type RootChange, rootProgress } from '../../bundle/publish-root.js'
import { isRole, parseTrustRoot } from '../../bundle/root.js'
import { signRoot } from '../../bundle/sign.js'
import { type Chain, readChain, type X509Policy } from '../../bundle/x509/chain.js'
import { readX509Policy } from '../../bundle/x509/enrol.js'
import { POLICY_SIGNING } from '../../bundle/x509/profile.js'
import { readPemCertificates } from '../certificates.js'
import { readFile, writeFile } from '../files.js'
import { type Context, collect, type Declared, instant } from '../frame.js'
import type { Host } from '../host.js'
import type { Outcome } from '../outcome.js'
import { facts } from '../print.js'
import { signWith } from '../signing.js'
import { rootFacts } from './publish-cosign.js'

interface RotateOptions {
  readonly key: readonly string[]
  readonly out?: string
  readonly add?: readonly string[]
  readonly remove?: readonly string[]
  readonly threshold?: ReadonlyMap<KeyRole, number>
  readonly expires?: number
  readonly newEpoch?: boolean
  readonly anchor?: readonly string[]
  readonly purpose?: string
  readonly chain?: ReadonlyMap<string, string>
}

/** `release=2`, repeated. */
function thresholds(value: string, before: ReadonlyMap<KeyRole, number> = new Map()): ReadonlyMap<KeyRole, number> {
  const [, role = '', count = ''] = /^([a-z]+)=([1-9]\d?)$/.exec(value) ?? []
  if (!isRole(role)) throw new InvalidArgumentError('Expected ROLE=NUMBER, such as release=2.')
  return new Map([...before, [role, Number(count)]])
}

/** `release-1=chain.pem`, repeated. */
function chainFiles(value: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const [, kid = '', file = ''] = /^([^=]+)=(.+)$/.exec(value) ?? []
  if (kid === '') throw new InvalidArgumentError('Expected KID=FILE, such as release-1=chain.pem.')
  return new Map([...before, [kid, file]])
}

const withRotation = (command: Command): Command =>
  command
    .requiredOption('--key <key...>', 'private keys of role root', collect)
    .option('--out <file>', 'the signed root; VERSION.root.jws.json beside the current one when left out')
    .option('--add <file...>', 'NAME.pub.json of keys to enrol', collect)
    .option('--remove <kid...>', 'keys that leave and may come back', collect)
    .option('--threshold <role=number...>', 'how many of a role must agree', thresholds)
    .option('--expires <time>', 'when nothing new may be accepted under it any more', instant)
    .option('--new-epoch', 'restart every revision counter')
    .option('--anchor <file...>', 'certificates of the authorities for chains, in place of those it has', collect)
    .option('--purpose <oid>', 'the extended key usage of signers; ours for policy signing when left out')
    .option('--chain <kid=file...>', 'the certificate chain of a key, its own certificate first', chainFiles)

export const publishRotate: Declared = {
  usage: 'rotate <root>',
  summary: 'make and sign the root that follows the current one',
  examples: [
    'sluice publish rotate root.json --add new.pub.json --remove release-1 --key keys/root-1.key keys/root-2.key',
  ],
  declare: withRotation,
  run: (context, [file = ''], options) => rotate(context, file, options as unknown as RotateOptions, []),
}

export const publishRevoke: Declared = {
  usage: 'revoke <root> <kid...>',
  summary: 'make and sign the next root, in which these keys are revoked for good',
  examples: [
    'sluice publish revoke root.json release-1 --add keys/release-4.pub.json --key keys/root-1.key keys/root-2.key',
  ],
  declare: withRotation,
  run: (context, [file = '', ...kids], options) => rotate(context, file, options as unknown as RotateOptions, kids),
}

async function rotate(
  { host }: Context,
  file: string,
  options: RotateOptions,
  revoke: readonly string[],
): Promise<Outcome> {
  const current = parseTrustRoot(readFile(host, file, 'trust root'))
  const change: RootChange = {
    add: (options.add ?? []).flatMap((path) => readPublicKeys(host, path)),
    remove: options.remove ?? [],
    revoke,
    ...(options.threshold ? { thresholds: options.threshold } : {}),
    ...(options.expires === undefined ? {} : { expiresAtMs: options.expires }),
    newEpoch: options.newEpoch === true,
    ...policyFrom(host, current, options),
  }
  const chains = chainsFrom(host, [...current.keys.values(), ...(change.add ?? [])], options.chain ?? new Map())
  const next = nextRoot(current, { ...change, chains })
  const signed = await signWith(host, options.key, (signer, before) => signRoot(next, signer, before))
  const out = options.out ?? `${file.replace(/[^/]*$/, '')}${next.version}.root.jws.json`
  writeFile(host, out, signed)
  const progress = await rootProgress(current, signed)
  return {
    json: {
      file: out,
      version: next.version,
      epoch: next.epoch,
      keys: [...next.keys.keys()],
      revoked: revoke,
      progress,
    },
    text: `wrote ${out}\n${facts([
      ...rootFacts(progress),
      ['epoch', String(next.epoch)],
      ['keys', [...next.keys.keys()].join(', ')],
      ['revoked', revoke.join(', ') || 'none'],
      ['expires', formatInstant(next.expiresAtMs)],
    ])}`,
  }
}

function policyFrom(host: Host, current: TrustRoot, options: RotateOptions): { readonly x509?: X509Policy } {
  const { anchor, purpose = current.x509?.purpose ?? POLICY_SIGNING } = options
  if (anchor === undefined && options.purpose === undefined) return {}
  const anchors = anchor
    ? anchor.flatMap((path) => readPemCertificates(host, path)).map(base64url)
    : (current.x509?.anchors ?? []).map(({ bytes }) => base64url(bytes))
  const x509 = readX509Policy({ anchors, purpose })
  return x509 === undefined ? {} : { x509 }
}

function chainsFrom(
  host: Host,
  keys: readonly TrustedKey[],
  files: ReadonlyMap<string, string>,
): ReadonlyMap<string, Chain> {
  const chains = new Map<string, Chain>()
  for (const [kid, path] of files) {
    const key = keys.find((one) => one.kid === kid)
    if (key === undefined) throw bundleFault('BUNDLE_KEY', { name: kid, why: 'the next trust root does not hold it' })
    const chain = readChain(readPemCertificates(host, path), key.key, key.chain?.uri)
    if (typeof chain === 'string')
      throw bundleFault('BUNDLE_KEY', { name: kid, why: `its certificate chain is not acceptable: ${chain}` })
    chains.set(kid, chain)
  }
  return chains
}

/** What `bundle keygen` writes beside a private key. Throws BUNDLE_KEY. */
function readPublicKeys(host: Host, path: string): TrustedKey[] {
  const no = (why: string) => bundleFault('BUNDLE_KEY', { name: path, why })
  let document: ReturnType<typeof parseJson>
  try {
    document = parseJson(decodeUtf8(readFile(host, path, 'public key')) ?? '')
  } catch (error) {
    if (error instanceof JsonError) throw no(error.message)
    throw error
  }
  if (!isObject(document)) throw no('it is not a public key file')
  return Object.entries(document).map(([kid, entry]) => {
    const { role, alg, public_key: text } = isObject(entry) ? entry : {}
    const octets = typeof text === 'string' ? decodeBase64url(text) : undefined
    if (typeof role !== 'string' || !isRole(role) || typeof alg !== 'string' || !isKeyAlg(alg) || octets === undefined)
      throw no(`${kid} has no role, alg and public_key`)
    return { kid, role, key: enrollKey(alg, octets, kid) }
  })
}
