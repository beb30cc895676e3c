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

export async function overGrpc(backend, rounds, mostMs) {
  const certs = certificates(1)
  try {
    const node = await Node.open(backend, apiFor(certs.path), new Map([['fence.yaml', utf8(fence)]]), prepareToTalk)
    try {
      const operator = await operatorOf(node, portOf(node), certs.path(''))
      try {
        const { pid } = node.workspace
        return await lastBytes({ talkIn: pid, watchIn: pid, rounds, mostMs, act: (closed) => operator.act(closed) })
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

async function operatorOf(node, port, folder) {
  const [program, ...words] = node.within([process.execPath, OPERATOR, String(port), folder])
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the operator ended')
    return JSON.parse(value)
  }
  return {
    async act(closed) {
      child.stdin.write(`${closed ? 'Quarantine' : 'Lift'}\n`)
      const { failed, ...moments } = await next()
      if (failed) throw new Error(failed)
      return moments
    },
    end: () => child.stdin.end(),
  }
}
