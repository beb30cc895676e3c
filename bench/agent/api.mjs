// The gRPC of an agent of the bench, with mutual TLS: a certificate authority of one run with a server and operators below it, what
// agent.yaml says of them, and the port that the agent took. Needs openssl.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `path` of what is in its folder: ca.pem; server.pem and server.key; client0.pem and client0.key, and so many of them. */
export function certificates(callers) {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-bench-mtls-'))
  const remove = () => rmSync(directory, { recursive: true, force: true })
  // Of a run that is stopped in the middle no keys are left either.
  process.once('exit', remove)
  const openssl = (...words) => execFileSync('openssl', words, { cwd: directory, stdio: 'ignore' })
  const fresh = (key) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key]
  openssl('req', '-x509', ...fresh('ca.key'), '-days', '2', '-subj', '/CN=bench', '-out', 'ca.pem')
  const issue = (name, alternative, purpose) => {
    openssl('req', ...fresh(`${name}.key`), '-subj', `/CN=${name}`, '-out', `${name}.csr`)
    writeFileSync(join(directory, `${name}.ext`), `extendedKeyUsage=${purpose}\nsubjectAltName=${alternative}\n`)
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', `${name}.ext`, '-days', '1']
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`)
  }
  issue('server', 'DNS:localhost,IP:127.0.0.1', 'serverAuth')
  for (let n = 0; n < callers; n++) issue(`client${n}`, `URI:spiffe://fleet.example/operator/bench-${n}`, 'clientAuth')
  return {
    path: (name) => join(directory, name),
    remove: () => {
      process.off('exit', remove)
      remove()
    },
  }
}

/** For agent.yaml: on loopback, for the operators below that authority. `at` is its `path`. */
export const apiFor = (at) => `api:
  listen: 127.0.0.1:0
  certificate: ${at('server.pem')}
  key: ${at('server.key')}
  client_ca: ${at('ca.pem')}
  operators: ["spiffe://fleet.example/operator/*"]
`

export const portOf = (node) => node.lines.find(({ event }) => event === 'api').detail.port
