// An authority for mutual TLS, one run long: a server certificate for localhost, and client certificates with whatever
// subject alternative names and times a test asks for. Made with openssl in a folder of their own.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Pair {
  readonly certificate: Buffer
  readonly key: Buffer
}

export class Mtls {
  readonly directory = mkdtempSync(join(tmpdir(), 'sluice-mtls-'))
  private made = 0

  constructor(name = 'callers') {
    this.openssl('req', '-x509', ...this.key('ca.key'), '-days', '2', '-subj', `/CN=${name}`, '-out', 'ca.pem')
    this.server()
  }

  path(name: string): string {
    return join(this.directory, name)
  }
  get ca(): Buffer {
    return readFileSync(this.path('ca.pem'))
  }

  /** Writes server.pem and server.key anew. */
  server(): void {
    const { certificate, key } = this.issue(['DNS:localhost', 'IP:127.0.0.1'], 'serverAuth')
    writeFileSync(this.path('server.pem'), certificate)
    writeFileSync(this.path('server.key'), key)
  }

  /** A client with these names; `days` may be negative, and then it has expired. */
  client(names: readonly string[], days = 1): Pair {
    return this.issue(names, 'clientAuth', days)
  }

  private issue(names: readonly string[], purpose: string, days = 1): Pair {
    const n = `p${++this.made}`
    this.openssl('req', ...this.key(`${n}.key`), '-subj', `/CN=${n}`, '-out', `${n}.csr`)
    const rows = names.map((name, i) =>
      name.replace(/^(\w+):(.*)$/, (_all, kind, value) => `${kind}.${i + 1}=${value}\n`),
    )
    const list = names.length === 0 ? '' : `subjectAltName=@names\n[names]\n${rows.join('')}`
    const extensions = `extendedKeyUsage=${purpose}\n${list}`
    writeFileSync(this.path(`${n}.ext`), extensions)
    if (days < 0) this.expired(n, extensions)
    else {
      const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', `${n}.ext`]
      this.openssl('x509', '-req', '-in', `${n}.csr`, ...sign, '-days', String(days), '-out', `${n}.pem`)
    }
    return { certificate: readFileSync(this.path(`${n}.pem`)), key: readFileSync(this.path(`${n}.key`)) }
  }

  /** `openssl x509` knows no past dates before 3.4; `openssl ca` does. */
  private expired(n: string, extensions: string): void {
    writeFileSync(this.path('index.txt'), '')
    writeFileSync(this.path('serial'), '1000\n')
    writeFileSync(
      this.path('ca.cnf'),
      `[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ncertificate=ca.pem\nprivate_key=ca.key\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n[x]\n${extensions}`,
    )
    const times = ['-startdate', '20240101000000Z', '-enddate', '20240102000000Z']
    this.openssl(
      ...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-extensions', 'x', ...times],
      ...['-in', `${n}.csr`, '-out', `${n}.pem`],
    )
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  private key(out: string): string[] {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', out]
  }
  private openssl(...line: string[]): void {
    execFileSync('openssl', line, { cwd: this.directory, stdio: 'pipe' })
  }
}
