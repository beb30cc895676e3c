// `sluice bundle verify`: the whole chain of a bundle against a trust root, without a node: signatures, threshold, audience,
// channel, validity and members. Exit 0 when it would be accepted by a node that holds nothing newer, 2 when not. With the
// configuration of a node it is judged as that node would, and a refusal stands in the node's trail.

import { Fault } from '../../base/fault.js'
import { formatInstant } from '../../bundle/instant.js'
import { verifyBundle } from '../../bundle/verify.js'
import { cliFault } from '../errors.js'
import { type Declared, instant } from '../frame.js'
import { configure, telling } from '../node.js'
import { errorShape, facts, printError } from '../print.js'
import { readTrust } from '../trust.js'

interface VerifyOptions {
  readonly config?: string
  readonly trust?: string
  readonly audience?: string
  readonly channel?: string
  readonly at?: number
}

export const bundleVerify: Declared = {
  usage: 'verify <bundle>',
  summary: 'check a bundle against a trust root',
  examples: [
    'sluice bundle verify my-bundle --trust root.json --audience fleet.example/dev',
    'sluice bundle verify my-bundle --config /etc/sluice/agent.yaml',
  ],
  declare: (command) =>
    command
      .option('--config <file>', 'agent.yaml of the node that is to judge')
      .option('--trust <file>', "the trust root (root.json); the node's with --config")
      .option('--audience <name>', "whom the release must name; the node's with --config")
      .option('--channel <name>', "the channel that the release must be on; the node's with --config, else stable")
      .option('--at <time>', 'judge as of this time instead of now', instant),
  run: async (context, [path = ''], options) => {
    const { host, paint, notes } = context
    const { config: named, at, ...given } = options as VerifyOptions
    const config = named === undefined ? undefined : await configure(context, named)
    const { trust = config?.trustRoot, audience = config?.audience, channel = config?.channel ?? 'stable' } = given
    if (trust === undefined || audience === undefined) {
      const missing = trust === undefined ? '--trust FILE' : '--audience NAME'
      throw cliFault('CLI_VERIFY_TERMS', { missing })
    }
    const nowMs = at ?? host.nowMs()
    try {
      const bundle = await telling(host, config, async () => {
        const root = await readTrust(host, trust, nowMs)
        return verifyBundle(await host.readBundle(path), root, { nowMs, audience, channel })
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
