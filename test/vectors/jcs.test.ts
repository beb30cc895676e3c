// RFC 8785: each input, parsed strictly, has exactly the published canonical octets.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hex, utf8 } from '../../src/base/bytes.js'
import { canonicalize } from '../../src/base/canonical.js'
import { parseJson } from '../../src/base/json.js'
import { sharedFolder } from '../support/shared-data.js'

describe('jcs', () => {
  const folder = sharedFolder('SLUICE_VECTORS')
  if (folder === undefined) return
  const names = readdirSync(join(folder, 'jcs/input'))
  it('has six pairs', () => expect(names).toHaveLength(6))
  for (const name of names)
    it(name, () => {
      const canonical = canonicalize(parseJson(readFileSync(join(folder, 'jcs/input', name), 'utf8')))
      expect(canonical).toBe(readFileSync(join(folder, 'jcs/output', name), 'utf8'))
      const octets = readFileSync(join(folder, 'jcs/outhex', name.replace('.json', '.txt')), 'utf8')
      expect(hex(utf8(canonical))).toBe(octets.replace(/\s/g, ''))
    })
})
