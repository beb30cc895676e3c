// Composes the running companion: its records under one lock, the agent over gRPC, the machines of this host, the hooks of the access
// broker, its own trail and ear for security events, and the socket at which it is asked. The only place that knows all of them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { Registry } from 'prom-client'
import { verifyEvidence } from '../agent/evidence.js'
import { agentSigner } from '../agent/key.js'
import { takeLock } from '../agent/lock.js'
import { revocationMetrics } from '../agent/metrics-revocation.js'
import { handedSocket } from '../api/handed-socket.js'
import { serveLifecycle } from '../api/lifecycle-server.js'
import { causeChain } from '../base/fault.js'
import type { CompanionRequest } from '../cli/host-companion.js'
import { agentFence } from '../companion/agent.js'
import { brokerDesk } from '../companion/broker-desk.js'
import type { CompanionConfig } from '../companion/config.js'
import { deskOf, Onlookers } from '../companion/desk.js'
import type { MachineDriver } from '../companion/drivers/driver.js'
import { LibvirtDriver } from '../companion/drivers/libvirt.js'
import { QemuDriver } from '../companion/drivers/qemu.js'
import type { KillHost } from '../companion/lifecycle/kill.js'
import { Lifecycle, type Told } from '../companion/lifecycle/lifecycle.js'
import type { Clock } from '../companion/lifecycle/ports.js'
import type { Shelf } from '../companion/lifecycle/renewal.js'
import { RecordStore, recordFiles } from '../companion/lifecycle/store.js'
import { hostMachines, type Images, networkNamed } from '../companion/machines.js'
import { letPass } from '../companion/passage.js'
import { Renewals } from '../companion/renewals.js'
import { brokerSessions } from '../companion/sessions.js'
import { agentClient } from './agent-client.js'
import { userName } from './calls.js'
import { type ExportedTrails, exportTrails } from './companion-export.js'
import { socketOfCompanion } from './companion-host.js'
import { serveHealth } from './companion-http.js'
import { imagesOf } from './companion-images.js'
import { factOf, lineOf } from './companion-lines.js'
import { type Ear, listenForRevocations } from './companion-revocation.js'
import { requireHeard, requireOpenable } from './companion-silence.js'
import { type Surroundings, trailOf } from './node.js'
import { trusted } from './witness.js'

const LOCK = 'companion.lock'
const LOOK_MS = 1_000

/** What runs machines, and what they boot: tests run processes that are no machines. */
export interface Parts {
  readonly driver: MachineDriver
  readonly images: Images & { shelf(): Promise<Shelf> }
  /** Throws what would keep every machine of this host from starting. */
  readonly ready?: () => void
}

/** Runs until the signal is aborted. Throws what keeps it from starting; machines and fences stay whatever becomes of it. */
export async function runCompanion(
  around: Surroundings,
  config: CompanionConfig,
  { signal, tell }: CompanionRequest,
  parts: Parts = partsOf(config, around),
): Promise<void> {
  const { nowMs, random } = around
  const { stateDirectory } = config
  const unlock = takeLock(join(stateDirectory, LOCK))
  const trail = trailOf(around, { ...config, node: config.companion }, 'queued')
  const say = (line: Parameters<typeof tell>[0] | undefined): void => {
    if (line) tell(line)
  }
  const clock: Clock = { nowMs, monotonicMs: () => performance.now(), sleep }
  const client = agentClient(config.agent)
  const registry = new Registry()
  let exported: ExportedTrails | undefined
  try {
    const store = await RecordStore.open(await recordFiles(join(stateDirectory, 'workspaces')))
    for (const [file, why] of store.damaged)
      say({ atMs: nowMs(), level: 'error', event: 'record-damaged', detail: { file, why } })
    try {
      parts.ready?.()
    } catch (error) {
      // Whoever is here already must find its kill switch.
      if (store.damaged.size === 0 && !store.all().some(({ profile }) => profile)) throw error
      say({ atMs: nowMs(), level: 'error', event: 'no-machines', detail: { why: causeChain(error).join(': ') } })
    }
    const places = { layers: join(stateDirectory, 'layers'), usersFile: join(stateDirectory, 'users.json') }
    const terms = { ...config, ...config.machines, ...places }
    const known = () => store.all().map(({ workspace }) => workspace)
    const living = () =>
      store.all().flatMap(({ workspace, profile, doing, owed }) => (profile || doing || owed.length ? [workspace] : []))
    const machine = hostMachines(parts.driver, parts.images, terms, known, living)
    const fence = agentFence({
      ...{ client, companion: config.companion, random },
      slotOf: ({ profile }) => networkNamed(terms, profile?.network ?? ''),
      verify: async (token, asked) => {
        const keys = trusted({ file: config.agent.keys, bytes: readFileSync(config.agent.keys) })
        return (await verifyEvidence(token, keys, { ...asked, nowMs: nowMs() })).evidence.attachments
      },
    })
    const onlookers = new Onlookers()
    const told = async (one: Told): Promise<void> => {
      onlookers.told(one)
      say(lineOf(one, nowMs()))
      const fact = factOf(one, nowMs())
      if (fact) await trail.emit([fact])
    }
    const ports = { fence, machine, sessions: brokerSessions(config.hooks, clock), clock }
    const { waitInitialMs, unfencedMs } = config
    const mayStart = () => requireHeard(config, nowMs())
    const lifecycle = new Lifecycle({ store, ports, terms: { waitInitialMs, unfencedMs, mayStart }, tell: told })
    const kills: KillHost = {
      ...{ companion: config.companion, lifecycle },
      signer: agentSigner(stateDirectory, random),
      receipts: await recordFiles(join(stateDirectory, 'kills')),
    }
    // A configuration that it refuses ends this run: before anything is under way, or answers.
    exported = exportTrails(config, { around, trail, sleep, registry })
    // What a crash ended is taken up before anybody is answered, so that a kill finds it. Nobody waits for its end: one that waits for its
    // policy must not keep anybody from seeing that the fence of another is gone.
    const resumed = lifecycle.resume()
    const path = socketOfCompanion(config)
    const handed = handedSocket(around.environment, process.pid, path)
    const effects = {
      nameOf: (uid: number) => `user:${userName(uid)}`,
      failed: (error: unknown) => {
        say({ atMs: nowMs(), level: 'error', event: 'defect', detail: { why: causeChain(error).join(': ') } })
      },
    }
    resumed.catch(effects.failed)
    let ear: Ear | undefined
    const broker = brokerDesk({ client, mayOpen: (asked) => requireOpenable(config, asked, nowMs()) })
    const streams = () => ear?.status() ?? []
    const desk = { ...deskOf(kills, { ...terms, streams }, onlookers), ...broker }
    const socket = await serveLifecycle(path, desk, effects, handed)
    let health: ReturnType<typeof serveHealth>
    try {
      const metrics = revocationMetrics(registry)
      ear = listenForRevocations(config, { around, kills, broker, clock, emit: trail.emit, say, metrics })
      health = serveHealth(config.http, { registry, nowMs, sleep, say })
      const { maxAgeMs } = config.images
      const renewals =
        maxAgeMs === undefined
          ? undefined
          : new Renewals({
              ...{ lifecycle, maxAgeMs, nowMs, shelf: () => parts.images.shelf() },
              takes: ({ network }) => config.networks.find(({ name }) => name === network)?.imageProfile,
              tell: (why, workspace) => {
                const detail = { ...(workspace === undefined ? {} : { workspace }), why }
                say({ atMs: nowMs(), level: 'warning', event: 'image-old', detail })
              },
            })
      say({
        atMs: nowMs(),
        level: 'info',
        event: 'ready',
        detail: { socket: path, workspaces: lifecycle.all().length },
      })
      while (!signal.aborted) {
        // A broker that hangs must not keep anybody from seeing that a fence is gone.
        await lifecycle.look(true)
        void renewals?.look()
        await sleep(LOOK_MS, signal)
      }
    } finally {
      await health?.stop()
      await ear?.stop()
      await socket.close()
      await lifecycle.idle()
    }
  } finally {
    client.close()
    await exported?.settle()
    await trail.close()
    // After the trail, so that what was told last is delivered too.
    await exported?.stop()
    const unwritten = trail.unwritten()
    if (unwritten !== undefined)
      say({ atMs: nowMs(), level: 'warning', event: 'audit-lost', detail: { why: unwritten } })
    say({ atMs: nowMs(), level: 'info', event: 'stopped', detail: {} })
    unlock()
  }
}

const driverOf = ({ driver, directory, libvirtUri: uri }: CompanionConfig['machines']): MachineDriver =>
  driver === 'qemu' ? QemuDriver.open({ directory }) : LibvirtDriver.open({ directory, ...(uri ? { uri } : {}) })

const partsOf = (config: CompanionConfig, around: Surroundings): Parts => ({
  driver: driverOf(config.machines),
  images: imagesOf(config, around),
  ready: () => {
    letPass(config.machines.directory)
  },
})

async function sleep(ms: number, wake?: AbortSignal): Promise<void> {
  try {
    await sleepFor(ms, undefined, wake ? { signal: wake } : {})
  } catch (error) {
    // Being woken is the other way in which a pause ends.
    if (!wake?.aborted) throw error
  }
}
