// `sluice bundle init`: from an OpenShell policy to a bundle directory that can be signed. It writes the FencePolicy that the
// policy needs, with every `delegate` line and the reason beside it, for a person to read and accept. It signs nothing.

import { fencePolicyFor } from '../../policy/init.js'
import { PROFILES, type Profile, type Role } from '../../policy/model.js'
import { parseSandboxPolicy } from '../../policy/sandbox-policy/parse.js'
import { cliFault } from '../errors.js'
import { readFile, writeFile } from '../files.js'
import { collect, type Declared, oneOf } from '../frame.js'

const SANDBOX = 'sandbox.yaml'
const FENCE = 'fence.yaml'
const ROLES: readonly Role[] = ['authored', 'effective']

interface InitOptions {
  readonly from: string
  readonly out: string
  readonly workspace: readonly string[]
  readonly name: string
  readonly profile: Profile
  readonly role: Role
}

export const bundleInit: Declared = {
  usage: 'init',
  summary: 'make a bundle directory from an OpenShell policy',
  examples: [
    'sluice bundle init --from policy.yaml --out my-bundle --workspace spiffe://fleet.example/ws/alpha --name coding-agent',
  ],
  declare: (command) =>
    command
      .requiredOption('--from <file>', 'an OpenShell SandboxPolicy')
      .requiredOption('--out <directory>', 'the directory to make')
      .requiredOption('--workspace <id...>', 'workspaces it applies to: exact, or ending in /*', collect)
      .requiredOption('--name <name>', 'name of the FencePolicy')
      .option(
        '--profile <profile>',
        'strict, or compat for the legacy spellings of older files',
        oneOf(PROFILES),
        'strict',
      )
      .option('--role <role>', 'authored by a person, or effective as a gateway composed it', oneOf(ROLES), 'authored'),
  run: async (context, _positional, options) => {
    const { from, out, workspace, name, profile, role } = options as unknown as InitOptions
    const { host } = context
    const bytes = readFile(host, from, 'policy')
    context.remember(from, bytes)
    const { policy, notes } = parseSandboxPolicy(bytes, from, { profile, role })
    const errors = notes.filter((note) => note.severity === 'error').length
    if (!policy) throw cliFault('CLI_DOCUMENT_REFUSED', { file: from, errors }, { notes })
    const fence = fencePolicyFor(policy, { name, sandboxPath: SANDBOX, workspaces: workspace, profile })
    const files = [`${out}/${SANDBOX}`, `${out}/${FENCE}`]
    writeFile(host, `${out}/${FENCE}`, fence)
    writeFile(host, `${out}/${SANDBOX}`, bytes)
    return {
      json: { directory: out, files, notes },
      text: `wrote ${files.join(' and ')}\nread ${out}/${FENCE}: each delegate line is something that the fence leaves to the workspace\nthen: sluice bundle sign ${out} --author KEY --release KEY --revision N --audience NAME --expires TIME\n`,
      remarks: context.notes(notes),
    }
  },
}
