// What this machine has of what vaultfs needs. The daemon itself is asked, in a process of its own that serves nothing.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Probe, Probed } from '../backend.js'
import { daemonPath } from './daemon.js'

const PROBE_MS = 10_000

export async function probeVaultfs(): Promise<Probed> {
  const probes: Probe[] = []
  try {
    const { stdout } = await promisify(execFile)(daemonPath(), ['--probe'], { timeout: PROBE_MS })
    probes.push({ feature: 'daemon', answer: 'yes', why: 'it runs' })
    for (const line of stdout.trim().split('\n')) {
      const [feature = '', answer, ...why] = line.split(' ')
      probes.push({ feature, answer: answer === 'yes' ? 'yes' : 'no', why: why.join(' ') })
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    probes.push({
      feature: 'daemon',
      answer: code === 'ENOENT' ? 'no' : 'could-not-tell',
      why: code === 'ENOENT' ? 'it is not built; run `make native`' : `it does not run: ${String(code)}`,
    })
  }
  return { backend: 'vaultfs', trustDomain: 'host', probes }
}
