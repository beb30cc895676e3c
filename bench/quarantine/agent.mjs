// The same over gRPC: a real agent with a plan of 1,000 grants, and an operator beside it on its loopback (operator.mjs), whose moments of
// the call and of the answer count.

import { execFileSync, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { utf8 } from '../../dist/base/bytes.js'
import { apiFor, certificates, portOf } from '../agent/api.mjs'
import { addresses, Node } from '../agent/node.mjs'
import { lastBytes } from '../dataplane/lastbyte.mjs'
import { prepare } from '../flood/slot.mjs'

const GRANTS = 1_000
const OPERATOR = new URL('./operator.mjs', import.meta.url).pathname

const fence = `apiVersion: sluice.dev/v1alpha1
kind: FencePolicy
metadata: {name: bench}
applies_to: {workspaces: ["spiffe://fleet.example/ws/*"]}
egress:
  - {name: bench, cidrs: [${['45.0.0.1', ...addresses(GRANTS - 1)].map((one) => `"${one}/32"`).join(', ')}], protocol: udp, ports: [443]}
`

export const overGrpc = (backend, rounds, mostMs) =>
  withAgent(backend, ({ pid, operator }) =>
    lastBytes({ talkIn: pid, watchIn: pid, rounds, mostMs, act: (closed) => operator.act(closed) }),
  )

/** While `use` is at work: the agent, the process whose namespace the workspace and the way out are in, and the operator. `before` is
 * given the node before its inventory is signed and its agent begins; `more` is of agent.yaml, by the place of certificates. */
export async function withAgent(backend, use, { before = () => undefined, more = () => '' } = {}) {
  const certs = certificates(1)
  try {
    const prepared = async (node) => {
      before(node)
      await prepareToTalk(node)
    }
    const config = `${apiFor(certs.path)}${more(certs.path)}`
    const node = await Node.open(backend, config, new Map([['fence.yaml', utf8(fence)]]), prepared)
    try {
      const operator = operatorOf(node, portOf(node), certs.path(''))
      try {
        return await use({ node, pid: node.workspace.pid, operator, certs })
      } finally {
        operator.end()
      }
    } finally {
      node.workspace?.stdin.end()
      await node.close()
    }
  } finally {
    certs.remove()
  }
}

async function prepareToTalk(node) {
  await prepare(node)
  const route = ['ip', 'route', 'add', '45.0.0.0/8', 'via', '10.9.0.1']
  execFileSync('nsenter', ['-t', String(node.workspace.pid), '-n', '--', ...route])
}

function operatorOf(node, port, folder) {
  const operator = beside(node, OPERATOR, String(port), folder)
  return { act: (closed) => operator.ask(closed ? 'Quarantine' : 'Lift'), end: operator.end }
}

/** A program in the node's network namespace that answers each line by one of JSON, and ends with its input. */
export function beside(node, ...line) {
  const [program, ...words] = node.within([process.execPath, ...line])
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask(word) {
      child.stdin.write(`${word}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error(`${line[0]} ended`)
      const { failed, ...moments } = JSON.parse(value)
      if (failed) throw new Error(failed)
      return moments
    },
    end: () => child.stdin.end(),
  }
}
