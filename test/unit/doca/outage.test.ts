// How long nothing passed: kept beside the process that holds the fence, measured by the one that rebuilds it, and told once a reset
// is seen. On the software BlueField.

import { mkdtempSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Alive } from '../../../src/backends/doca-flow/alive.js'
import { DocaDriver } from '../../../src/backends/doca-flow/driver.js'
import { lower } from '../../../src/backends/doca-flow/lower.js'
import { sliceFor } from '../../../src/plan/codec.js'
import { BlueField } from '../../support/doca/bluefield.js'
import { ENTRY, egress, planOf } from '../../support/plans.js'

const PLAN = planOf([egress('web', ['93.184.216.34'], 'tcp', ['443'])])

describe('doca-flow: outages', () => {
  const card = BlueField.load()
  let directory: string
  let driver: DocaDriver
  const open = async (): Promise<void> => {
    driver = await DocaDriver.open({ attachInterfaces: [], stateDirectory: join(directory, 'doca-flow') })
  }
  const make = async (generation: number): Promise<void> =>
    driver.commit(await driver.stage(lower({ ...sliceFor(PLAN, 'memory', generation), workspaces: PLAN.workspaces })))
  const file = (): string => join(directory, 'doca-flow', 'alive')

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sluice-alive-'))
    card.topology([ENTRY.slot.interface])
    await open()
  })
  afterEach(async () => {
    await driver.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('knows of none where nothing was live before, and of none between two plans', async () => {
    await make(1)
    await make(2)
    expect((await driver.observe()).outage).toBeUndefined()
  })

  it('reckons from when the process before saw the fence whole to when it is again', async () => {
    await make(1)
    await driver.close()
    const seen = new Date(Date.now() - 90_000)
    utimesSync(file(), seen, seen)
    await open()
    const startMs = Date.now()
    await make(1)
    const { outage } = await driver.observe()
    expect(outage?.fromMs).toBe(seen.getTime())
    expect(outage?.untilMs).toBeGreaterThanOrEqual(startMs)
    expect(Math.round(statSync(file()).mtimeMs)).toBeGreaterThanOrEqual(startMs)
  })

  it('never ends before it began, whatever the clock did', async () => {
    await make(1)
    await driver.close()
    const later = new Date(Date.now() + 3_600_000)
    utimesSync(file(), later, later)
    await open()
    await make(1)
    const { outage } = await driver.observe()
    expect(outage?.fromMs).toBe(outage?.untilMs)
  })

  it('tells whoever watches of a reset, once, and of the next one after it was mended', async () => {
    await make(1)
    let told = 0
    const stop = driver.watch(() => {
      told++
    })
    card.fault('reset', 0)
    await expect.poll(() => told, { timeout: 20_000 }).toBe(1)
    await make(2)
    expect((await driver.observe()).outage).toBeDefined()
    // Seen whole again before it goes again.
    const whole = statSync(file()).mtimeMs
    await expect.poll(() => statSync(file()).mtimeMs, { timeout: 20_000 }).toBeGreaterThan(whole)
    expect(told).toBe(1)
    card.fault('reset', 0)
    await expect.poll(() => told, { timeout: 20_000 }).toBe(2)
    stop()
  })

  it('keeps nothing without a directory, and no fence waits for a disk', () => {
    new Alive('').beat(Date.now())
    expect(new Alive('').lastMs()).toBeUndefined()
    const nowhere = new Alive('/dev/null/none')
    nowhere.beat(Date.now())
    expect(nowhere.lastMs()).toBeUndefined()
  })
})
