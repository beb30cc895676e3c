// `sluice bundle keygen`: one new key pair in two files, the private one for its owner alone. A key has exactly one role,
// so that a signature for one purpose can never serve another.

import { base64url } from '../../base/bytes.js'
import { generateKey, writePrivateKey } from '../../bundle/key-file.js'
import type { KeyAlg } from '../../bundle/keys.js'
import { type KeyRole, ROLES } from '../../bundle/model.js'
import { writeFile } from '../files.js'
import { type Declared, oneOf } from '../frame.js'
import { facts } from '../print.js'

const ALGORITHMS: readonly KeyAlg[] = ['Ed25519', 'ES256']

export const bundleKeygen: Declared = {
  usage: 'keygen',
  summary: 'make a key pair for one role',
  examples: ['sluice bundle keygen --role release --out keys'],
  declare: (command) =>
    command
      .requiredOption('--role <role>', `what the key may sign: ${ROLES.join(', ')}`, oneOf(ROLES))
      .option('--out <directory>', 'where the two files go', '.')
      .option('--kid <name>', 'key id; made from the role and the public key when left out')
      .option('--alg <algorithm>', ALGORITHMS.join(' or '), oneOf(ALGORITHMS), 'Ed25519'),
  run: async ({ host }, _positional, options) => {
    const { role, out, kid, alg } = options as { role: KeyRole; out: string; kid?: string; alg: KeyAlg }
    const pair = generateKey({ role, alg, ...(kid === undefined ? {} : { kid }) }, host.random)
    const entry = { role, alg, public_key: base64url(pair.public.bytes) }
    const privateKey = `${out}/${pair.kid}.key`
    const publicKey = `${out}/${pair.kid}.pub.json`
    writeFile(host, privateKey, writePrivateKey(pair), { mode: 0o600 })
    writeFile(host, publicKey, `${JSON.stringify({ [pair.kid]: entry }, undefined, 2)}\n`)
    return {
      json: {
        kid: pair.kid,
        role,
        alg,
        publicKey: entry.public_key,
        privateKeyFile: privateKey,
        publicKeyFile: publicKey,
      },
      text: `${facts([
        ['key id', pair.kid],
        ['private key', `${privateKey} (mode 0600; whoever can read it can sign)`],
        ['public key', `${publicKey} (its content goes under keys of root.json)`],
      ])}`,
    }
  },
}
