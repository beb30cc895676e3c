// `node peer.mjs ENGINE POLICIES FOLDER`: one of the engines behind our gRPC server, with the certificates of FOLDER. Prints its port,
// and ends with its input.

import { join } from 'node:path'
import { serveApi } from '../../dist/api/server.js'
import { ENGINES, hostsOf } from './engines.mjs'

const [engine, count, folder] = process.argv.slice(2)
const decide = await ENGINES[engine](hostsOf(Number(count)))
const NOTHING = { reason: '', clause: '', place: '', obligations: [], bundleDigest: '', generation: 0 }

const server = await serveApi(
  {
    node: 'spiffe://fleet.example/node/bench',
    checkAction: async (_workspace, { text }) => {
      const { agent_runtime: runtime, action } = JSON.parse(text)
      const { hostname, pathname } = new URL(action.resource)
      const question = {
        executable: runtime.executable,
        method: action.method,
        host: hostname,
        port: 443,
        path: pathname,
      }
      return { ...NOTHING, allowed: decide(question), attestation: new Uint8Array(0) }
    },
  },
  {
    listen: '127.0.0.1:0',
    files: {
      certificate: join(folder, 'server.pem'),
      key: join(folder, 'server.key'),
      clientCa: join(folder, 'ca.pem'),
    },
    callers: { operator: ['spiffe://fleet.example/operator/*'], companion: [], runtime: [], auditor: [], broker: [] },
  },
  { nowMs: Date.now, monotonicMs: () => performance.now(), failed: console.error },
)
console.log(server.port)
process.stdin.resume().once('end', () => void server.close().then(() => process.exit(0)))
