// How far a run is, as the command tells it: one line that is written over on a terminal, and a line a minute where it goes to a log.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { composeHost, processSurface } from '../../../src/bin/host.js'
import { runCli } from '../../../src/cli/main.js'
import { drawnRun } from '../../support/bench/runs.js'

const folder = mkdtempSync(join(tmpdir(), 'sluice-progress-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** What stands on stderr of a run that says once a second, for five minutes, how far it is. */
async function told(colour: boolean): Promise<string> {
  let nowMs = Date.UTC(2026, 10, 21)
  let error = ''
  const surface = {
    ...processSurface(),
    cwd: folder,
    colour,
    write: () => undefined,
    writeError: (text: string) => {
      error += text
    },
  }
  const host = composeHost(surface)
  const run = (request: {
    readonly progress: (progress: { say: string; done: number; leftSeconds: number }) => void
  }) => {
    for (let second = 0; second < 300; second++, nowMs += 1_000)
      request.progress({ say: '10 grants', done: second / 300, leftSeconds: 300 - second })
    return Promise.resolve(drawnRun({ seed: 1 }))
  }
  const bench = { ...host.bench, run, report: () => '' }
  expect(await runCli(['bench', '--out', 'out'], { ...host, nowMs: () => nowMs, bench })).toBe(0)
  return error
}

it('is a line a minute in a log', async () => {
  const lines = (await told(false)).split('\n').filter((line) => line.includes('10 grants'))
  expect(lines.map((line) => /\] +(\d+) %/.exec(line)?.[1])).toEqual(['0', '20', '40', '60', '80'])
})

it('is one line of a terminal, gone at the end', async () => {
  const text = await told(true)
  expect(text.split('\r\u001b[K').filter((line) => line.includes('10 grants'))).toHaveLength(300)
  expect(text.endsWith('\r\u001b[K')).toBe(true)
})
