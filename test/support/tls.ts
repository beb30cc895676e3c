// A certificate authority for one test run and a server certificate for this machine, made with openssl in a folder of
// their own. Keys are thrown away with the folder.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Tls {
  readonly ca: string
  readonly caFile: string
  readonly cert: string
  readonly certFile: string
  readonly key: string
  readonly keyFile: string
  readonly remove: () => void
}

/** `names` become subject alternative names: `DNS:localhost`, `IP:127.0.0.1`. */
export function makeTls(names: readonly string[] = ['DNS:localhost', 'IP:127.0.0.1']): Tls {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
  const at = (name: string) => join(directory, name)
  const openssl = (...line: string[]) => execFileSync('openssl', line, { cwd: directory, stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=test authority', '-keyout', 'ca.key', '-out', 'ca.pem')
  openssl('req', ...newKey, '-subj', '/CN=server', '-keyout', 'server.key', '-out', 'server.csr')
  writeFileSync(at('server.ext'), `subjectAltName=${names.join(',')}\nextendedKeyUsage=serverAuth\n`)
  const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'server.ext']
  openssl('x509', '-req', '-in', 'server.csr', ...sign, '-out', 'server.pem')
  const read = (name: string) => readFileSync(at(name), 'utf8')
  return {
    ca: read('ca.pem'),
    caFile: at('ca.pem'),
    cert: read('server.pem'),
    certFile: at('server.pem'),
    key: read('server.key'),
    keyFile: at('server.key'),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}
