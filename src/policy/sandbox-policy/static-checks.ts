// The parts of a SandboxPolicy that are fixed for a sandbox's life: filesystem paths and the identity it runs as (sheet
// section 2).

import { utf8 } from '../../base/bytes.js'
import { quote } from '../../base/quote.js'
import type { Findings } from '../findings.js'
import type { Located } from '../shape.js'
import type { DocumentFound } from './schema.js'

const MAX_PATHS = 256
const MAX_PATH_BYTES = 4_096

export function checkStatic(document: DocumentFound, findings: Findings): void {
  const files = document.of.filesystem_policy
  if (files) {
    const writable = files.of.read_write ?? []
    const paths = [...(files.of.read_only ?? []), ...writable]
    for (const path of paths) checkPath(path, findings)
    for (const { value, at } of writable)
      if (/^\/+$/.test(value))
        findings.note('fs-root-writable', at, 'read_write may not name the root directory; list what must be written')
    if (paths.length > MAX_PATHS)
      findings.note(
        'fs-too-many-paths',
        files.at,
        `${paths.length} paths in read_only and read_write; the limit is ${MAX_PATHS}`,
      )
  }
  for (const key of ['run_as_user', 'run_as_group'] as const) {
    const value = document.of.process?.of[key]
    if (value && !isIdentity(value.value))
      findings.note(
        'identity',
        value.at,
        `${key} is "sandbox" or a decimal number from 1 to 4294967294, not ${quote(value.value)}`,
      )
  }
}

function checkPath({ value, at }: Located<string>, findings: Findings): void {
  if (!value.startsWith('/')) findings.note('fs-path', at, `${quote(value)} is not absolute; start it with "/"`)
  else if (value.split('/').includes('..')) findings.note('fs-path', at, `${quote(value)} has a ".." component`)
  else if (utf8(value).length > MAX_PATH_BYTES)
    findings.note('fs-path', at, `the path is longer than ${MAX_PATH_BYTES} octets`)
}

/** `0`, 4294967295, names other than sandbox, and signs or leading zeros are refused. */
const isIdentity = (text: string): boolean =>
  text === 'sandbox' || (/^[1-9]\d{0,9}$/.test(text) && Number(text) <= 4_294_967_294)
