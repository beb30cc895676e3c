// A program of decisions from documents as people write them: a FencePolicy that delegates everything, with an OpenShell policy
// folded in. The plan under it grants nothing: decisions read the policy, and what the plan compiles to has suites of its own.

import { compileProgram, type Program } from '../../../src/decide/program.js'
import { planDigest } from '../../../src/plan/codec.js'
import type { Plan } from '../../../src/plan/model.js'
import type { Policy, Profile, Role } from '../../../src/policy/model.js'
import { normalizePolicies } from '../../../src/policy/normalize.js'
import { planOf, WS } from '../plans.js'

export const WORKDIR = '/sandbox'

const DELEGATE = 'binary, l7, tls, middleware, credentials, filesystem, process, user, shared-address'

export interface Documents {
  /** An OpenShell policy; `version: 1` is put on top where it is missing. */
  readonly sandbox?: string
  /** More keys of the FencePolicy. */
  readonly fence?: string
  readonly profile?: Profile
  readonly role?: Role
}

/** Throws with the findings when the documents are refused. */
export function policyOf({ sandbox, fence = '', profile = 'strict', role = 'authored' }: Documents): Policy {
  const text = (lines: readonly string[]): Uint8Array => new TextEncoder().encode(`${lines.join('\n')}\n`)
  const members = new Map([
    [
      'fence.yaml',
      text([
        'apiVersion: sluice.dev/v1alpha1',
        'kind: FencePolicy',
        'metadata: { name: test }',
        `applies_to: { workspaces: ["${WS}"] }`,
        `delegate: [${DELEGATE}]`,
        ...(sandbox === undefined ? [] : [`sandboxPolicy: { path: sandbox.yaml, profile: ${profile}, role: ${role} }`]),
        fence,
      ]),
    ],
  ])
  if (sandbox !== undefined)
    members.set('sandbox.yaml', text([/^version:/m.test(sandbox) ? sandbox : `version: 1\n${sandbox}`]))
  const { policies, notes } = normalizePolicies(members)
  const [policy] = policies ?? []
  if (!policy) throw new Error(notes.map(({ file, line, say }) => `${file}:${line}: ${say}`).join('\n'))
  return policy
}

export function programOf(documents: Documents, plan: Plan = planOf([])): Program {
  const policies = [policyOf(documents)]
  return compileProgram({ plan, planDigest: planDigest(plan), generation: 7, policies, workdir: WORKDIR })
}
