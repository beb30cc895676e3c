// The release after this one, made from the same build: a copy of dist/ with one more step of the store's format, and records of
// state that only it can read. What a later release would change is changed in two places: the table of steps, which is
// where it would say so as well, and the name of the format of `state.json`. Nothing in the product knows of it.

import { appendFileSync, cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryPath } from '../lab/repository.js'

const STEP = `
import { utf8 } from '../base/bytes.js'
import { seal, unseal } from './record.js'
const resealed = (from, to) => (name, bytes) => name === 'state.json' ? utf8(seal(to, unseal(bytes, from))) : bytes
STEPS.push({
  say: 'the state in another form',
  forward: resealed('sluice-state/1', 'sluice-state/2'),
  back: resealed('sluice-state/2', 'sluice-state/1'),
})
`

/** Makes it in `folder`, which must not be there, and gives the path of its program. Needs dist/. */
export function nextRelease(folder: string): string {
  cpSync(repositoryPath('dist'), join(folder, 'dist'), { recursive: true })
  for (const name of ['node_modules', 'build']) symlinkSync(repositoryPath(name), join(folder, name))
  writeFileSync(join(folder, 'package.json'), '{"type": "module", "version": "0.2.0"}\n')
  appendFileSync(join(folder, 'dist/agent/store-steps.js'), STEP)
  const record = join(folder, 'dist/agent/record.js')
  const before = readFileSync(record, 'utf8')
  const after = before.replace("STATE_FORMAT = 'sluice-state/1'", "STATE_FORMAT = 'sluice-state/2'")
  if (after === before) throw new Error('the name of the format of state.json was not found')
  writeFileSync(record, after)
  return join(folder, 'dist/bin/sluice.js')
}
