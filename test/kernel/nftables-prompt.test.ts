// A flag waits for nobody: it is set, read back and answered on the thread that was asked, before anything else of the process has its
// turn, and flows are destroyed after that. Nobody is attached here: no packet is sent.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import { compiled } from '../support/nftables/compiled.js'
import { stateDirectory } from '../support/nftables/harness.js'

labSuite('nftables, a flag at once', () => {
  const state = stateDirectory()
  afterAll(() => state.remove())

  it('answers before its flows are cut, on the thread that was asked, and takes no old answer for a new one', async () => {
    const words = ['-n', process.execPath, compiled('test/support/nftables/promptness.js'), state.path]
    const { stdout } = await promisify(execFile)('unshare', words, {
      env: { ...process.env, SLUICE_NATIVE_DIR: repositoryPath('build/native') },
    })
    expect(JSON.parse(stdout)).toEqual({
      answeredAtOnce: true,
      cutAtOnce: false,
      flows: 0,
      refusal: { refused: true, there: true, absent: false },
    })
  }, 120_000)
})
