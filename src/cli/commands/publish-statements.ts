// `sluice publish freshness` and `breakglass`: short-lived statements. The first confirms a release as the newest of its
// channel; the second is for the worst day: it quarantines a workspace, or lifts one quarantine for at most an hour.

import { type Breakglass, signBreakglass } from '../../bundle/breakglass.js'
import { signFreshness } from '../../bundle/freshness.js'
import { formatInstant } from '../../bundle/instant.js'
import { confirmationOf, readRelease } from '../../bundle/publish.js'
import { cliFault } from '../errors.js'
import { writeFile } from '../files.js'
import { collect, counting, type Declared, oneOf } from '../frame.js'
import { facts } from '../print.js'
import { progressFacts, progressUnder, signWith } from '../signing.js'

export const publishFreshness: Declared = {
  usage: 'freshness <bundle>',
  summary: 'confirm a released bundle as the newest of its channel, for a short time',
  examples: [
    'sluice publish freshness my-bundle --lifetime 3600 --key keys/freshness.key --out stable.freshness.jws.json',
  ],
  declare: (command) =>
    command
      .requiredOption('--key <key...>', 'private keys of role freshness', collect)
      .requiredOption('--out <file>', 'the statement; replaced when it is there')
      .option('--lifetime <seconds>', 'how long it holds, at most 7 days', counting, 3_600)
      .option('--trust <file>', 'trust root, to count the signatures'),
  run: async ({ host }, [path = ''], options) => {
    const { key, out, lifetime, trust } = options as { key: string[]; out: string; lifetime: number; trust?: string }
    const { release } = await host.readBundle(path)
    if (release === undefined) throw cliFault('CLI_NOT_RELEASED', { path })
    const fresh = confirmationOf(readRelease(release), host.nowMs(), lifetime * 1000)
    const signed = await signWith(host, key, (signer, before) => signFreshness(fresh, signer, before))
    writeFile(host, out, signed, { replace: true })
    const progress = await progressUnder(host, trust, 'freshness', signed)
    const { channel, policyRevision, bundleDigest, issuedAtMs, expiresAtMs } = fresh
    return {
      json: {
        file: out,
        channel,
        revision: policyRevision,
        digest: bundleDigest,
        expires_at: formatInstant(expiresAtMs),
        progress,
      },
      text: `wrote ${out}\n${facts([
        ['channel', channel],
        ['revision', String(policyRevision)],
        ['digest', bundleDigest],
        ['holds', `${formatInstant(issuedAtMs)} to ${formatInstant(expiresAtMs)}`],
        ...progressFacts(progress),
      ])}`,
    }
  },
}

interface BreakglassOptions {
  readonly action: Breakglass['action']
  readonly workspace: string
  readonly audience: string
  readonly reason: string
  readonly quarantine?: string
  readonly minutes: number
  readonly epoch: number
  readonly key: readonly string[]
  readonly out: string
  readonly trust?: string
}

export const publishBreakglass: Declared = {
  usage: 'breakglass',
  summary: 'sign an order to quarantine a workspace, or to lift one quarantine for at most an hour',
  examples: [
    "sluice publish breakglass --action lift --quarantine cmd-0123456789abcdef --workspace spiffe://fleet.example/ws/alpha --audience fleet.example/dev --reason 'broker down' --key keys/breakglass-1.key --out lift.jws.json",
  ],
  declare: (command) =>
    command
      .requiredOption('--action <action>', 'quarantine or lift', oneOf(['quarantine', 'lift'] as const))
      .requiredOption('--workspace <id>', 'which one')
      .requiredOption('--audience <name>', 'the fleet or node that may carry it out')
      .requiredOption('--reason <text>', 'why, for the trail')
      .option('--quarantine <id>', 'for a lift: command id of the quarantine that is lifted')
      .option('--minutes <number>', 'how long it holds, at most 60', counting, 60)
      .option('--epoch <number>', 'epoch of the trust root', counting, 1)
      .requiredOption('--key <key...>', 'private keys of role breakglass', collect)
      .requiredOption('--out <file>', 'the statement')
      .option('--trust <file>', 'trust root, to count the signatures'),
  run: async ({ host }, _positional, options) => {
    const { action, workspace, audience, reason, quarantine, minutes, epoch, key, out, trust } =
      options as unknown as BreakglassOptions
    if ((action === 'lift') !== (quarantine !== undefined)) throw cliFault('CLI_LIFT_TERMS', undefined)
    // Whole seconds, as the statement says them.
    const issuedAtMs = Math.floor(host.nowMs() / 1000) * 1000
    const common = { workspace, audience, reason, epoch, issuedAtMs, expiresAtMs: issuedAtMs + minutes * 60_000 }
    const order: Breakglass =
      quarantine === undefined ? { ...common, action: 'quarantine' } : { ...common, action: 'lift', quarantine }
    const signed = await signWith(host, key, (signer, before) => signBreakglass(order, signer, before))
    writeFile(host, out, signed)
    const progress = await progressUnder(host, trust, 'breakglass', signed)
    return {
      json: { file: out, action, workspace, expires_at: formatInstant(order.expiresAtMs), progress },
      text: `wrote ${out}\n${facts([
        ['action', action],
        ['workspace', workspace],
        ['holds until', formatInstant(order.expiresAtMs)],
        ...progressFacts(progress),
      ])}`,
    }
  },
}
