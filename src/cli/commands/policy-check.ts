// `sluice policy check`: every finding about one policy document at once, each with its place. Exit 0 when it is accepted,
// 2 when not; warnings alone accept.

import { checkDocument } from '../../policy/check.js'
import { PROFILES, type Profile, type Role } from '../../policy/model.js'
import { readFile } from '../files.js'
import { type Declared, oneOf } from '../frame.js'

const ROLES: readonly Role[] = ['authored', 'effective']

export const policyCheck: Declared = {
  usage: 'check <file>',
  summary: 'check a SandboxPolicy (OpenShell) or a FencePolicy',
  examples: ['sluice policy check policy.yaml', 'sluice policy check old-policy.yaml --profile compat --json'],
  declare: (command) =>
    command
      .option(
        '--profile <profile>',
        'strict, or compat for the legacy spellings of older files',
        oneOf(PROFILES),
        'strict',
      )
      .option('--role <role>', 'authored by a person, or effective as a gateway composed it', oneOf(ROLES), 'authored'),
  run: async ({ host, paint, notes, remember }, [file = ''], options) => {
    const { profile, role } = options as { profile: Profile; role: Role }
    const bytes = readFile(host, file, 'policy document')
    remember(file, bytes)
    const result = checkDocument(bytes, file, { profile, role })
    const count = (severity: string): number => result.notes.filter((note) => note.severity === severity).length
    const verdict = result.accepted ? paint('green', 'accepted') : paint('red', 'rejected')
    return {
      json: { accepted: result.accepted, kind: result.kind, file, profile, role, notes: result.notes },
      text: `${notes(result.notes)}${file}: ${verdict} as ${result.kind} (${profile}, ${role}): ${count('error')} errors, ${count('warning')} warnings\n`,
      exit: result.accepted ? 0 : 2,
    }
  },
}
