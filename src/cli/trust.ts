// The trust root that a command names, with the certificate chains of its keys judged by the revocation lists that lie beside
// it: a key counts here exactly when it would count on a node with the same files at the same time.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { TrustRoot } from '../bundle/model.js'
import { parseTrustRoot } from '../bundle/root.js'
import { crlFileOf, hasChains, withChains } from '../bundle/x509/enrol.js'
import { readFile } from './files.js'
import type { Host } from './host.js'

/** Throws CLI_FILE_UNREADABLE and BUNDLE_ROOT; a chain that does not hold puts its key in doubt. */
export async function readTrust(host: Host, file: string, nowMs: number = host.nowMs()): Promise<TrustRoot> {
  const root = parseTrustRoot(readFile(host, file, 'trust root'))
  if (!hasChains(root)) return root
  const path = crlFileOf(file)
  // No lists at all is a state of its own: every chain says so.
  if (!existsSync(resolve(host.cwd, path))) return withChains(root, { nowMs })
  return withChains(root, { nowMs, crls: readFile(host, path, 'revocation lists') })
}
