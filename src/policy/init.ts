// The FencePolicy that a SandboxPolicy needs, as text for a person to read and accept: every `delegate` line with the reason
// beside it, and a pin to fill in for every exact host. Refuses names and ids that the result could not carry.

import { quote } from '../base/quote.js'
import { policyFault } from './errors.js'
import { API_VERSION, KIND } from './fence-policy/model.js'
import { type Clause, DIMENSIONS, type Dimension, type Profile } from './model.js'
import { sandboxClauses } from './sandbox-policy/clauses.js'
import type { SandboxPolicy } from './sandbox-policy/model.js'
import { isWorkspacePattern } from './workspace-id.js'

export interface InitOptions {
  readonly name: string
  /** Path of the SandboxPolicy within the bundle. */
  readonly sandboxPath: string
  /** At least one. */
  readonly workspaces: readonly string[]
  readonly profile: Profile
}

/** YAML text that parses without errors. Throws POLICY_INIT_VALUE for a value that a FencePolicy cannot have. */
export function fencePolicyFor(sandbox: SandboxPolicy, options: InitOptions): string {
  checkOptions(options)
  const clauses = sandboxClauses(sandbox)
  const effective = sandbox.rules.some((rule) => rule.key.startsWith('_provider_'))
  return [
    `apiVersion: ${API_VERSION}`,
    `kind: ${KIND}`,
    'metadata:',
    `  name: ${scalar(options.name)}`,
    'applies_to:',
    '  workspaces:',
    ...[...new Set(options.workspaces)].map((id) => `    - ${scalar(id)}`),
    'sandboxPolicy:',
    `  path: ${scalar(options.sandboxPath)}`,
    `  profile: ${options.profile}`,
    ...(effective
      ? ['  # Rules named _provider_* come from a gateway: this is the effective policy, as it composed it.']
      : []),
    `  role: ${effective ? 'effective' : 'authored'}`,
    'on_expiry: suspend',
    ...delegateLines(clauses),
    ...pinLines(clauses),
    '',
  ].join('\n')
}

function checkOptions({ name, sandboxPath, workspaces }: InitOptions): void {
  const refuse = (key: string, value: string, expected: string) =>
    policyFault('POLICY_INIT_VALUE', { key, value: quote(value), expected })
  if (!/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(name))
    throw refuse('metadata.name', name, 'letters, digits, dots, dashes and underscores, at most 63')
  if (sandboxPath.split('/').some((segment) => segment === '' || segment === '.' || segment === '..'))
    throw refuse('sandboxPolicy.path', sandboxPath, 'a path within the bundle, such as sandbox.yaml')
  for (const workspace of workspaces)
    if (!isWorkspacePattern(workspace))
      throw refuse('applies_to.workspaces', workspace, 'an id such as spiffe://corp.example/ws/alpha')
  if (workspaces.length === 0) throw refuse('applies_to.workspaces', '', 'at least one workspace id')
}

/** JSON strings are YAML strings (YAML 1.2 section 1.3). Plain words need no quotes. */
const scalar = (text: string): string =>
  /^[A-Za-z][A-Za-z0-9._/-]*$/.test(text) && !/^(true|false|null|yes|no|on|off)$/i.test(text)
    ? text
    : JSON.stringify(text)

const WHY: Record<Dimension, string> = {
  binary: 'a fence sees connections, not the program that opens them',
  l7: 'a fence sees addresses and ports, not requests',
  tls: 'a fence does not end TLS streams',
  middleware: 'a fence does not read or change streams',
  credentials: 'a fence does not put credentials into requests',
  filesystem: "a fence outside does not see the workspace's own files",
  process: "a fence outside does not see the workspace's own processes",
  user: 'a fence outside does not choose the user that a program runs as',
  'shared-address': 'two names on one address cannot be told apart',
}

function delegateLines(clauses: readonly Clause[]): string[] {
  const rows = DIMENSIONS.flatMap((dimension) => {
    const needing = clauses.filter((clause) => clause.losses.some((loss) => loss.dimension === dimension))
    if (needing.length === 0) return []
    const keys = new Set(
      needing.flatMap((clause) =>
        clause.losses.filter((loss) => loss.dimension === dimension).map((loss) => loss.what),
      ),
    )
    const many = needing.length === 1 ? 'one clause' : `${needing.length} clauses`
    return [
      `  # ${printable([...keys].sort().join(', '))} of ${many}, first at line ${firstLine(needing)}: ${WHY[dimension]}.`,
      `  - ${dimension}`,
    ]
  })
  if (rows.length === 0) return []
  return [
    '# What the fence cannot see and leaves to the runtime inside the workspace. Removing a line refuses the bundle, unless',
    '# the clauses that need it are removed too.',
    'delegate:',
    ...rows,
  ]
}

const firstLine = (clauses: readonly Clause[]): number => Math.min(...clauses.map((clause) => clause.origin.line))

function pinLines(clauses: readonly Clause[]): string[] {
  const names = clauses.flatMap((clause) =>
    clause.kind === 'egress'
      ? clause.to.flatMap((target) => (target.kind === 'name' && !target.wildcard ? [target.pattern] : []))
      : [],
  )
  if (names.length === 0) return []
  return [
    '# Names are learnt from DNS answers. On a network without a resolver, or for names with private addresses, pin them: take',
    '# away the leading "# " and put in the addresses. Names that share an address also need - shared-address under delegate.',
    '# dns:',
    '#   pins:',
    ...[...new Set(names)].sort().map((name) => `#     ${scalar(name)}: [ADDRESS]`),
  ]
}

/** Keys of the document end up in a comment: one line, no control characters. */
const printable = (text: string): string => quote(text, 300).slice(1, -1)
