// A flag waits for nobody: it is set, read back and answered on the thread that was asked, before anything else of the process has its
// turn, and flows are destroyed after that. Nobody waits for learned grants, whoever has the kernel's lock. No packet is sent here.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, expect, it } from 'vitest'
import { SHORT } from '../../src/backends/nftables/learn.js'
import { repositoryPath } from '../support/lab/repository.js'
import { labSuite } from '../support/lab/suite.js'
import { compiled } from '../support/nftables/compiled.js'
import { stateDirectory } from '../support/nftables/harness.js'
import { sliceOf } from '../support/nftables/slices.js'

labSuite('nftables, a flag at once', () => {
  const state = stateDirectory()
  afterAll(() => state.remove())

  it('answers before its flows are cut, on the thread that was asked, takes no old answer for a new one, and lets all else have its turn while it learns', async () => {
    const slice = JSON.stringify(sliceOf(1, { names: ['git.example'] }))
    const words = ['-n', process.execPath, compiled('test/support/nftables/promptness.js'), state.path, slice]
    const { stdout } = await promisify(execFile)('unshare', words, {
      env: { ...process.env, SLUICE_NATIVE_DIR: repositoryPath('build/native') },
    })
    expect(JSON.parse(stdout)).toEqual({
      answeredAtOnce: true,
      cutAtOnce: false,
      flows: 0,
      refusal: { refused: true, there: true, absent: false },
      learned: {
        first: { live: true, there: 2 },
        again: { live: true, there: 2 },
        short: { live: true, there: SHORT },
      },
      long: { live: true, there: SHORT + 1, overFirst: 'flagged' },
      beside: { loaded: true, turned: true, live: true },
      meddled: {
        taken: { live: false, known: false, there: 0 },
        replaced: { live: false, there: 0 },
        // What is the other process' stays, and nothing else.
        shared: { live: false, there: 1 },
      },
    })
  }, 120_000)
})
