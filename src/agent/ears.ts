// What the backends report by themselves, kept open over every change of plan: a report that is closed and opened again with each
// generation misses what the kernel refused in between, and nobody would know. Also kept is what a grant had counted when it was last
// looked at, and whose policy a late report belongs to. Gives what came since it was last asked.

import type { PolicyContext } from '../audit/fact.js'
import type { DenialBatch, Driver, FileDenialBatch, Observed } from '../backends/backend.js'

/** Reports of a plan before the last few have long been taken. */
const POLICIES = 8

export class Ears {
  private readonly ears = new Map<Driver<unknown>, Ear>()
  private readonly policies = new Map<number, PolicyContext>()

  /** Listens to these and to no others. Throws what a driver throws that cannot report. */
  async open(drivers: readonly Driver<unknown>[]): Promise<readonly Ear[]> {
    for (const [driver, ear] of this.ears) {
      if (drivers.includes(driver)) continue
      this.ears.delete(driver)
      await ear.close()
    }
    const all: Ear[] = []
    for (const driver of drivers) {
      const ear = this.ears.get(driver) ?? (await Ear.open(driver))
      this.ears.set(driver, ear)
      all.push(ear)
    }
    return all
  }

  /** Policies by generation, of what is live and of what a report may still be about. */
  know(generation: number, policy: PolicyContext | undefined): ReadonlyMap<number, PolicyContext> {
    if (policy) this.policies.set(generation, policy)
    for (const old of this.policies.keys()) if (this.policies.size > POLICIES) this.policies.delete(old)
    return this.policies
  }

  /** What came until now can still be taken. */
  async close(): Promise<void> {
    for (const ear of this.ears.values()) await ear.close()
    this.ears.clear()
  }
}

/** One backend, listened to. */
export class Ear {
  /** As they were read last. */
  counters: Observed['counters'] = []
  private batch: DenialBatch = { denials: [], lost: 0 }
  private files: FileDenialBatch = { denials: [], lost: 0 }
  private readonly ends: (() => Promise<void>)[] = []

  private constructor(private readonly driver: Driver<unknown>) {}

  static async open(driver: Driver<unknown>): Promise<Ear> {
    const ear = new Ear(driver)
    try {
      await ear.count()
      ear.ends.push(
        await driver.denials(({ denials, observed = [], lost }) => {
          ear.batch = {
            denials: [...ear.batch.denials, ...denials],
            observed: [...(ear.batch.observed ?? []), ...observed],
            lost: ear.batch.lost + lost,
          }
        }),
      )
      const files = await driver.fileDenials?.(({ denials, lost }) => {
        ear.files = { denials: [...ear.files.denials, ...denials], lost: ear.files.lost + lost }
      })
      if (files) ear.ends.push(files)
      return ear
    } catch (error) {
      await ear.close()
      throw error
    }
  }

  /** Reads them anew. Throws as `observe`. */
  async count(): Promise<Observed['counters']> {
    this.counters = (await this.driver.observe()).counters
    return this.counters
  }

  takeDenials(): DenialBatch {
    const { batch } = this
    this.batch = { denials: [], lost: 0 }
    return batch
  }

  takeFiles(): FileDenialBatch {
    const { files } = this
    this.files = { denials: [], lost: 0 }
    return files
  }

  async close(): Promise<void> {
    for (const end of this.ends.splice(0)) await end()
  }
}
