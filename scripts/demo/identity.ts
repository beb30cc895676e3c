// The identity provider of the demo's machine: a process beside the companion that pushes signed security events (RFC 8935, OpenID CAEP)
// to it over HTTPS. Another key, which the companion was never given, shows that it is the signature that counts.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Pushed, Transmitter } from '../../test/support/revocation/process.js'
import {
  AUDIENCE,
  claimsOf,
  type Desk,
  ISSUER,
  jwksOf,
  makeDesk,
  signSet,
} from '../../test/support/revocation/transmitter.js'
import { makeTls, type Tls } from '../../test/support/tls.js'

export const USER = 'jane@demo.example'
const EAR = 7444
const PORT = 7555
const TOKEN = 'only-for-this-demo'

export class IdentityProvider {
  private events = 0

  private constructor(
    private readonly desk: Desk,
    private readonly tls: Tls,
    private readonly transmitter: Transmitter,
  ) {}

  /** Begins in that namespace; its keys are in `directory`, where the companion reads them. */
  static async open(namespace: string, directory: string): Promise<IdentityProvider> {
    const [desk, tls] = [await makeDesk(), makeTls()]
    writeFileSync(join(directory, 'idp.jwks.json'), jwksOf(desk))
    writeFileSync(join(directory, 'idp.token'), `${TOKEN}\n`, { mode: 0o600 })
    const terms = { tls, desk, port: PORT, pushUrl: `https://localhost:${EAR}/idp`, token: TOKEN }
    return new IdentityProvider(desk, tls, await Transmitter.start(namespace, terms))
  }

  /** The section of companion.yaml. */
  get section(): string {
    const { certFile, keyFile, caFile } = this.tls
    return `revocation:
  listen: 127.0.0.1:${EAR}
  certificate: ${certFile}
  key: ${keyFile}
  silence: alarm
  streams:
    - name: idp
      kind: push
      issuer: ${ISSUER}
      audience: ["${AUDIENCE}"]
      keys: idp.jwks.json
      algorithms: [RS256]
      token_file: idp.token
      ca: ${caFile}
`
  }

  /** Says that the user's session was revoked. */
  async revoke(): Promise<Pushed> {
    return this.push(this.desk)
  }

  /** The same words, signed by somebody else under the same name. */
  async forge(): Promise<Pushed> {
    return this.push(await makeDesk())
  }

  async close(): Promise<void> {
    await this.transmitter.close()
    this.tls.remove()
  }

  private async push(by: Desk): Promise<Pushed> {
    const subject = { format: 'email', email: USER }
    const claims = claimsOf(Date.now(), { jti: `event-${++this.events}`, sub_id: subject })
    return this.transmitter.push(await signSet(by, claims))
  }
}
