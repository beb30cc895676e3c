// Looks at a finished plan the way a reviewer would: invariants that the compiler must keep (errors, which are bugs), and
// things that an operator should know before it goes live (warnings). Plans made by the compiler have no errors.

import { formatInstant } from '../base/instant.js'
import { familyBits, parsePrefix } from '../base/ip.js'
import type { Note } from '../base/note.js'
import { prefixClass } from '../base/reserved.js'
import { grantId } from './grants.js'
import { type Grant, PLAN_FORMAT, type Plan, type WorkspacePlan } from './model.js'

export function checkPlan(plan: Plan): Note[] {
  const notes: Note[] = []
  const say = (severity: Note['severity'], code: string, path: string, text: string): void => {
    notes.push({ code, severity, file: '', line: 0, column: 0, path, say: text })
  }
  if (plan.format !== PLAN_FORMAT) say('error', 'plan-format', '', `format ${plan.format} is not ${PLAN_FORMAT}`)
  if (plan.source.expiresAtMs <= plan.source.notBeforeMs)
    say('error', 'plan-validity', '', 'the plan ends before it begins')
  if (!isSorted(plan.workspaces.map((entry) => entry.workspace)))
    say('error', 'plan-order', '', 'workspaces are not sorted and distinct')
  checkAddresses(plan, say)
  for (const guarantee of plan.guarantees)
    if (guarantee.level === 'refused')
      say('error', 'plan-refused-clause', guarantee.workspace, `${guarantee.name} is refused, so there must be no plan`)
  for (const entry of plan.workspaces) {
    checkGrants(entry, say)
    if (entry.network.observe)
      say(
        'warning',
        'not-denied',
        entry.workspace,
        `what nothing grants is let through and reported until ${formatInstant(entry.network.observe.untilMs)} (observe)`,
      )
    if (entry.onExpiry === 'hold')
      say(
        'warning',
        'expiry-held',
        entry.workspace,
        'its policy stays in force after the bundle expires (on_expiry: hold)',
      )
  }
  return notes
}

type Say = (severity: Note['severity'], code: string, path: string, text: string) => void

const isSorted = (keys: readonly string[]): boolean => keys.every((key, i) => i === 0 || (keys[i - 1] ?? '') < key)

function checkAddresses(plan: Plan, say: Say): void {
  const owner = new Map<string, string>()
  for (const entry of plan.workspaces)
    for (const key of [`slot ${entry.slot.interface}`, ...entry.slot.addresses]) {
      const other = owner.get(key)
      if (other !== undefined) say('error', 'plan-shared-slot', entry.workspace, `${key} belongs to ${other} already`)
      owner.set(key, entry.workspace)
    }
}

function checkGrants(entry: WorkspacePlan, say: Say): void {
  const { egress, ingress, sessions = [] } = entry.network
  for (const [name, grants] of [
    ['egress', egress],
    ['ingress', ingress],
    ['sessions', sessions],
  ] as const) {
    const path = `${entry.workspace} ${name}`
    if (!isSorted(grants.map((grant) => grant.id)))
      say('error', 'plan-order', path, 'grants are not sorted and distinct')
    for (const grant of grants) checkGrant(grant, path, say)
  }
}

function checkGrant(grant: Grant, path: string, say: Say): void {
  const read = parsePrefix(grant.prefix)
  const here = `${path} ${grant.id}`
  if (!read?.exact) {
    say('error', 'plan-prefix', here, `${grant.prefix} is not a canonical prefix`)
    return
  }
  if (grant.id !== grantId(grant.direction, grant.protocol, grant.prefix, grant.ports))
    say('error', 'plan-grant-id', here, 'the id does not say the grant')
  if ((grant.ports === null) !== (grant.protocol === 'icmp-echo'))
    say('error', 'plan-ports', here, 'ports do not fit the protocol')
  if (grant.clauses.length === 0) say('error', 'plan-clause', here, 'no clause says this grant')
  const kind = prefixClass(read.prefix)
  if (grant.direction === 'egress' && kind === 'never')
    say('error', 'plan-never', here, `${grant.prefix} may not be opened by anything`)
  if (grant.opens && kind === 'public') say('error', 'plan-opens', here, `${grant.prefix} lies in no reserved range`)
  if (kind === 'public' && read.prefix.length === 0)
    say(
      'warning',
      'any-address',
      here,
      `every public ${familyBits(read.prefix.family) === 32 ? 'IPv4' : 'IPv6'} address is granted`,
    )
}
