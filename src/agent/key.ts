// The agent's own key: it signs seals of the journal, receipts and evidence, and nothing that anybody would obey. Made on
// this node when first needed, in the state directory, for its owner alone; the public half lies beside it in the form in
// which a trust root takes it, so that an auditor can pin it. A key that is damaged is a fault, never replaced in silence:
// what the old one signed would lose its witness.

import { createPrivateKey, sign } from 'node:crypto'
import { join } from 'node:path'
import { base64url, utf8 } from '../base/bytes.js'
import { generateKey, type KeyPair, readPrivateKey, writePrivateKey } from '../bundle/key-file.js'
import type { Signer } from '../bundle/sign.js'
import { agentFault } from './errors.js'
import { NODE_FILES, replaceFile, type StateFiles } from './files.js'

export const AGENT_KEY = 'agent.key'
export const AGENT_PUBLIC_KEY = 'agent.pub.json'

/** Reads the key, or makes it. Throws AGENT_STORE_DAMAGED and AGENT_STORE_WRITE. */
export function agentKey(
  directory: string,
  random: (length: number) => Uint8Array,
  files: StateFiles = NODE_FILES,
): KeyPair {
  const path = join(directory, AGENT_KEY)
  const bytes = files.read(path)
  if (bytes) return readKey(path, bytes)
  const pair = generateKey({ role: 'agent' }, random)
  const { alg, bytes: octets } = pair.public
  const entry = { [pair.kid]: { role: pair.role, alg, public_key: base64url(octets) } }
  try {
    // The public half first: a private key without it could sign what nobody can check.
    replaceFile(files, join(directory, AGENT_PUBLIC_KEY), utf8(`${JSON.stringify(entry, undefined, 2)}\n`))
    replaceFile(files, path, utf8(writePrivateKey(pair)))
  } catch (cause) {
    throw agentFault('AGENT_STORE_WRITE', { file: path }, { cause })
  }
  return pair
}

function readKey(file: string, bytes: Uint8Array): KeyPair {
  try {
    const pair = readPrivateKey(bytes)
    if (pair.role === 'agent') return pair
  } catch (cause) {
    throw agentFault('AGENT_STORE_DAMAGED', { file, why: 'it is not a private key file' }, { cause })
  }
  throw agentFault('AGENT_STORE_DAMAGED', { file, why: 'its role is not agent' })
}

/**
 * The key behind the signing interface, read when it first signs: a command that signs nothing needs no key.
 * `kid` and `alg` read it too.
 */
export function agentSigner(directory: string, random: (length: number) => Uint8Array): Signer {
  let signer: Signer | undefined
  const load = (): Signer => {
    signer ??= nativeSigner(agentKey(directory, random))
    return signer
  }
  return {
    get kid() {
      return load().kid
    },
    role: 'agent',
    get alg() {
      return load().alg
    },
    sign: (message) => load().sign(message),
  }
}

/** Signs as `signerOf` does, by the platform's own code: a decision is signed for each call, and this costs a tenth. */
function nativeSigner(pair: KeyPair): Signer {
  const { kid, role } = pair
  const { alg } = pair.public
  const [pem = ''] = /-----BEGIN PRIVATE KEY-----[\s\S]*/.exec(writePrivateKey(pair)) ?? []
  const key = createPrivateKey(pem)
  const hash = alg === 'ES256' ? 'sha256' : null
  return {
    kid,
    role,
    alg,
    sign: (message) => Promise.resolve(new Uint8Array(sign(hash, message, { key, dsaEncoding: 'ieee-p1363' }))),
  }
}
