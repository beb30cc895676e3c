// Where the signature of an inventory lies: beside the file, `inventory.yaml` with `inventory.jws.json`.

import { readFile } from './files.js'
import type { Host } from './host.js'

export const signatureOf = (file: string): string => `${file.replace(/\.ya?ml$/, '')}.jws.json`

/** Both files of a signed inventory. Throws CLI_FILE_UNREADABLE. */
export const readInventory = (host: Host, file: string) => ({
  file,
  yaml: readFile(host, file, 'inventory'),
  signature: readFile(host, signatureOf(file), 'signature of the inventory'),
})
