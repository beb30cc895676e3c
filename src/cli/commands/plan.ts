// `sluice plan`: what this machine would do with a bundle, clause by clause, before anything is touched. Exit 3 when a
// clause is neither enforceable here nor delegated, as `apply` would.

import { FENCING_BACKENDS } from '../../backends/registry.js'
import { encodePlan, planDigest } from '../../plan/codec.js'
import { printGrant, printSession } from '../../plan/diff.js'
import type { BackendName, Plan } from '../../plan/model.js'
import { printCarriers, printProcess } from '../../plan/process.js'
import { OPEN_LASTS, printFileRule } from '../../plan/storage.js'
import { compileOffline } from '../compile.js'
import { writeFile } from '../files.js'
import { collectBackends, type Declared } from '../frame.js'
import { configure } from '../node.js'
import { guarantees } from '../report.js'

export const planCommand: Declared = {
  usage: 'plan <bundle>',
  summary: 'show what this machine would enforce of a bundle, without touching anything',
  examples: [
    'sluice plan my-bundle --inventory inventory.yaml',
    'sluice plan my-bundle --inventory inventory.yaml --config agent.yaml --out plan.json',
  ],
  declare: (command) =>
    command
      .requiredOption('--inventory <file>', 'the workspaces of the node')
      .option(
        '--backend <name...>',
        'backends by preference; those of the configuration, or all that fence, when left out',
        collectBackends,
      )
      .option('--config <file>', 'agent.yaml: verify against its trust root, and use its backends')
      .option('--out <file>', 'write the plan there, for `explain --plan` and `diff`'),
  run: async (context, [bundle = ''], options) => {
    const { inventory, backend, config, out } = options as {
      inventory: string
      backend?: readonly BackendName[]
      config?: string
      out?: string
    }
    const node = config === undefined ? undefined : await configure(context, config)
    const trust = node ? { trust: { file: node.trustRoot, audience: node.audience, channel: node.channel } } : {}
    const backends = backend ?? node?.backends ?? FENCING_BACKENDS
    const made = await compileOffline(context, {
      ...{ bundle, inventory, backends, ...trust },
      mediated: node?.dns !== undefined,
      ...(node ? { node } : {}),
    })
    const { plan, verified } = made
    if (plan && out !== undefined) writeFile(context.host, out, encodePlan(plan))
    const digest = plan ? planDigest(plan) : undefined
    const signed = verified ? 'verified against the trust root' : 'not verified: pass --config to check signatures'
    return {
      json: { accepted: plan !== undefined, verified, digest, plan, guarantees: made.guarantees, notes: made.notes },
      text: [
        `bundle: ${signed}\n`,
        plan ? describe(plan) : '',
        `\n${guarantees(made.guarantees, context.paint)}`,
        digest
          ? `plan ${digest}\n`
          : `${context.paint('red', 'refused')}: \`apply\` would not activate this bundle here\n`,
      ].join(''),
      remarks: context.notes(made.notes),
      exit: plan ? 0 : 3,
    }
  },
}

/** Workspaces with their grants. */
function describe(plan: Plan): string {
  return plan.workspaces
    .map((entry) => {
      const { network, slot } = entry
      const lines = [
        ...[...network.egress, ...network.ingress].map((grant) => `  ${printGrant(grant)}\n`),
        ...(network.sessions ?? []).map((grant) => `  ${printSession(grant)}\n`),
      ]
      const names = network.names.map((rule) => `  name ${rule.protocol} ${rule.pattern}\n`)
      const files = (entry.storage?.volumes ?? []).flatMap((volume) => [
        `  volume ${volume.name} at ${volume.mount} (${entry.storage?.backend})${volume.at === undefined ? '' : `, seen inside at ${volume.at}`}\n`,
        ...volume.rules.map((rule) => `    ${printFileRule(volume.name, rule)}\n`),
        ...(volume.openFiles ? [`    ${OPEN_LASTS}\n`] : []),
      ])
      const processes = (entry.process ? [entry.process] : []).flatMap((slice) => [
        `  processes (${printCarriers(slice)})\n`,
        ...printProcess(slice).map((line) => `    ${line}\n`),
      ])
      const policy = entry.policy ?? 'no policy: everything denied'
      return `\n${entry.workspace} on ${slot.interface} (${entry.backend}, ${entry.domain}): ${policy}\n${[...lines, ...names, ...files, ...processes].join('')}`
    })
    .join('')
}
