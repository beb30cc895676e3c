// `sluice bundle verify`: the whole chain of a bundle against a trust root, without a node: signatures, threshold, audience,
// channel, validity and members. Exit 0 when it would be accepted by a node that holds nothing newer, 2 when not.

import { Fault } from '../../base/fault.js'
import { formatInstant } from '../../bundle/instant.js'
import { verifyBundle } from '../../bundle/verify.js'
import { type Declared, instant } from '../frame.js'
import { errorShape, facts, printError } from '../print.js'
import { readTrust } from '../trust.js'

export const bundleVerify: Declared = {
  usage: 'verify <bundle>',
  summary: 'check a bundle against a trust root',
  examples: ['sluice bundle verify my-bundle --trust root.json --audience fleet.example/dev'],
  declare: (command) =>
    command
      .requiredOption('--trust <file>', 'the trust root (root.json)')
      .requiredOption('--audience <name>', 'whom the release must name')
      .option('--channel <name>', 'the channel that the release must be on', 'stable')
      .option('--at <time>', 'judge as of this time instead of now', instant),
  run: async ({ host, paint, notes }, [path = ''], options) => {
    const { trust, audience, channel, at } = options as {
      trust: string
      audience: string
      channel: string
      at?: number
    }
    const nowMs = at ?? host.nowMs()
    const root = await readTrust(host, trust, nowMs)
    try {
      const bundle = await verifyBundle(await host.readBundle(path), root, {
        nowMs,
        audience,
        channel,
      })
      const { source, signers } = bundle
      const say = `bundle ${source.bundleId} revision ${source.policyRevision} is signed, released and valid`
      return {
        json: { verdict: 'accepted', code: 'BUNDLE_VERIFIED', say, source, signers, notes: bundle.notes },
        text: `${paint('green', 'accepted')}: ${say}\n${facts([
          ['digest', source.bundleDigest],
          ['signed by', signers.join(', ')],
          ['valid', `${formatInstant(source.notBeforeMs)} to ${formatInstant(source.expiresAtMs)}`],
          ['members', [...bundle.members.keys()].join(', ')],
        ])}`,
        remarks: notes(bundle.notes),
      }
    } catch (error) {
      if (!(error instanceof Fault) || error.reaction !== 'reject') throw error
      const shape = errorShape(error)
      return {
        json: { verdict: 'refused', ...shape },
        text: `${paint('red', 'refused')}\n`,
        remarks: printError(shape, paint, () => undefined),
        exit: 2,
      }
    }
  },
}
