// Our own backends as variants: loaded as the agent loads them (lower, stage, commit; the clock ends there, and they are read back after
// it) and uninstalled after each visit, so that every visit begins with no flows and no tables.

import type { OpenOptions } from '../../backends/backend.js'
import { loadBackend, type RegisteredBackend } from '../../backends/registry.js'
import { kernelMiB } from '../machine.js'
import { type Setting, sliceOf } from '../setting.js'
import type { Variant } from './variant.js'

/** Longer than any run. */
const DEADLINE_MS = 86_400_000

export function fence(name: RegisteredBackend, options: OpenOptions, nowMs: () => number): Variant {
  let generation = 0
  return {
    name,
    say: `Sluice, backend ${name}`,
    role: 'fence',
    emulated: false,
    absent: async () => {
      try {
        const backend = await loadBackend(name)
        const driver = await backend.open(options)
        const { usable, why } = backend.capabilities(await driver.probe())
        await driver.close()
        return usable ? undefined : why
      } catch (error) {
        return error instanceof Error ? error.message : 'it could not be opened'
      }
    },
    put: async (setting: Setting) => {
      const backend = await loadBackend(name)
      const driver = await backend.open(options)
      const lift = async (): Promise<void> => {
        await driver.uninstall()
        await driver.close()
      }
      try {
        const slice = sliceOf(setting, name, ++generation, nowMs() + DEADLINE_MS)
        const before = kernelMiB()
        const began = performance.now()
        await driver.commit(await driver.stage(backend.lower(slice)))
        const stageMs = performance.now() - began
        await driver.observe()
        const commands = [`backend ${name}, in this process: lower, stage, commit`]
        return { stageMs, kernelMiB: Math.max(0, kernelMiB() - before), commands, lift }
      } catch (error) {
        await lift()
        throw error
      }
    },
  }
}
