// Three engines that decide the same questions by the same policies, each given what it does best: ours compiles the policy of the
// workspace, Cedar (wasm) parses its policy set once and finds policies by the resource in their head, casbin reads its rules once and
// asks synchronously. Each is a function (question) -> true or false; a question is plain data that all three are handed as it is.
//
// A policy is about one host: program /usr/bin/curl may GET what lies below /v1/, and never what lies below /v1/secret/.

import { createRequire } from 'node:module'
import { decide } from '../../dist/decide/decide.js'
import { compileProgram } from '../../dist/decide/program.js'
import { normalizePolicies } from '../../dist/policy/normalize.js'

const require = createRequire(import.meta.url)
export const WORKSPACE = 'spiffe://fleet.example/ws/ws0'
const PROGRAM = '/usr/bin/curl'

/** `count` hosts, a policy each. */
export const hostsOf = (count) => Array.from({ length: count }, (_, i) => `h${i}.example.com`)

/** The two documents of a bundle: everything that a fence cannot see is delegated. A node without a mediator of names needs pins. */
export function members(hosts, pinned = false) {
  const fence = `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: {name: bench}
applies_to: {workspaces: ["spiffe://fleet.example/ws/*"]}
delegate: [binary, l7, tls, filesystem, process, user, shared-address]
sandboxPolicy: {path: sandbox.yaml}
${pinned ? `dns:\n  pins:\n${hosts.map((host, i) => `    ${host}: [93.${184 + (i >> 8)}.${i & 255}.34]\n`).join('')}` : ''}`
  const rules = `[{allow: {method: GET, path: "/v1/**"}}]`
  const denials = `[{method: "*", path: "/v1/secret/**"}]`
  const sandbox = `version: 1
network_policies:
${hosts
  .map(
    (host, i) => `  r${i}:
    endpoints: [{host: ${host}, port: 443, protocol: rest, enforcement: enforce, rules: ${rules}, deny_rules: ${denials}}]
    binaries: [{path: ${PROGRAM}}]
`,
  )
  .join('')}`
  const text = (value) => new TextEncoder().encode(value)
  return new Map([
    ['fence.yaml', text(fence)],
    ['sandbox.yaml', text(sandbox)],
  ])
}

function sluice(hosts) {
  const { policies, notes } = normalizePolicies(members(hosts))
  if (!policies) throw new Error(JSON.stringify(notes[0]))
  const workspaces = [{ workspace: WORKSPACE, policy: 'bench', onExpiry: 'suspend' }]
  const plan = { source: { bundleDigest: 'sha256:00', expiresAtMs: Number.MAX_SAFE_INTEGER }, workspaces }
  const program = compileProgram({ plan, planDigest: 'sha256:00', generation: 1, policies })
  return ({ executable, method, host, port, path }) => {
    const asking = { workspace: WORKSPACE, quarantined: false, suspended: false, executable }
    return decide(program, asking, { kind: 'request', host, port, method, path }, 1).decision === 'allow'
  }
}

function cedar(hosts) {
  const { preparsePolicySet, statefulIsAuthorized } = require('@cedar-policy/cedar-wasm/nodejs')
  const staticPolicies = hosts
    .map(
      (
        host,
      ) => `permit (principal == Program::"${PROGRAM}", action == Action::"GET", resource == Endpoint::"${host}:443")
when { context.path like "/v1/*" };
forbid (principal, action, resource == Endpoint::"${host}:443") when { context.path like "/v1/secret/*" };`,
    )
    .join('\n')
  const parsed = preparsePolicySet('bench', { staticPolicies })
  if (parsed.type !== 'success') throw new Error(JSON.stringify(parsed))
  return ({ executable, method, host, port, path }) => {
    const answer = statefulIsAuthorized({
      principal: { type: 'Program', id: executable },
      action: { type: 'Action', id: method },
      resource: { type: 'Endpoint', id: `${host}:${port}` },
      context: { path },
      preparsedPolicySetId: 'bench',
      entities: [],
    })
    if (answer.type !== 'success') throw new Error(JSON.stringify(answer))
    return answer.response.decision === 'allow'
  }
}

async function casbin(hosts) {
  const { newEnforcer, newModelFromString, StringAdapter } = require('casbin')
  const model = newModelFromString(`
[request_definition]
r = sub, dom, act, path
[policy_definition]
p = sub, dom, act, path, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.dom == p.dom && (p.sub == "*" || r.sub == p.sub) && (p.act == "*" || r.act == p.act) && keyMatch(r.path, p.path)
`)
  const rules = hosts.flatMap((host) => [
    `p, ${PROGRAM}, ${host}:443, GET, /v1/*, allow`,
    `p, *, ${host}:443, *, /v1/secret/*, deny`,
  ])
  const enforcer = await newEnforcer(model, new StringAdapter(rules.join('\n')))
  return ({ executable, method, host, port, path }) => enforcer.enforceSync(executable, `${host}:${port}`, method, path)
}

/** Each makes a decider for these hosts. */
export const ENGINES = { sluice, cedar, casbin }

/** Questions over all of the policies: most are allowed, the rest refused for each reason there is. */
export function questionsOf(hosts) {
  const asked = []
  const step = Math.max(1, Math.floor(hosts.length / 16))
  for (let i = 0; i < 64; i++) {
    const host = hosts[(i * step) % hosts.length]
    const question = { executable: PROGRAM, method: 'GET', host, port: 443, path: `/v1/items/${i}` }
    const kind = i % 8
    if (kind === 3) asked.push({ ...question, method: 'POST' })
    else if (kind === 4) asked.push({ ...question, path: '/v1/secret/key' })
    else if (kind === 5) asked.push({ ...question, path: '/v2/items' })
    else if (kind === 6) asked.push({ ...question, executable: '/usr/bin/wget' })
    else if (kind === 7) asked.push({ ...question, host: 'elsewhere.example.com' })
    else asked.push(question)
  }
  return asked
}
