// What the command line needs of the companion: its configuration, a running one at its socket, and this process as one.

import { dirname, join } from 'node:path'
import { apiFault } from '../api/errors.js'
import { decodeUtf8 } from '../base/bytes.js'
import { Fault } from '../base/fault.js'
import type { CompanionHandle, CompanionHost, WorkspacesKilled } from '../cli/host-companion.js'
import { type CompanionConfig, parseCompanion } from '../companion/config.js'
import { lifecycleFault } from '../companion/lifecycle/errors.js'
import type { Surroundings } from './node.js'

export const socketOfCompanion = ({ socket, stateDirectory }: CompanionConfig): string =>
  socket ?? join(stateDirectory, 'companion.sock')

export const companionHost = (around: Surroundings): CompanionHost => {
  const read = (path: string, bytes: Uint8Array) => parseCompanion(bytes, path, dirname(around.resolve(path)))
  return {
    configure: (path, bytes) => {
      const config = read(path, bytes)
      return { file: path, companion: config.companion, socket: socketOfCompanion(config) }
    },
    open: (socket) => openCompanion(socket),
    reconcile: async (path, bytes, { received, ...asked }) => {
      const { reconcileCompanion } = await import('./companion-export.js')
      return reconcileCompanion(read(path, bytes), { ...asked, received: received.map((file) => around.resolve(file)) })
    },
    fetchImages: async (path, bytes, from) => {
      const { fetchImages } = await import('./companion-images.js')
      return fetchImages(read(path, bytes), around, from)
    },
    run: async (path, bytes, request) => {
      // Loaded where it is wanted: no other command carries its weight.
      const { runCompanion } = await import('./companion.js')
      await runCompanion(around, read(path, bytes), request)
    },
  }
}

function openCompanion(socket: string): CompanionHandle {
  // gRPC is loaded by commands that speak it.
  const client = import('../api/lifecycle-client.js').then(({ LifecycleClient }) => new LifecycleClient(socket))
  const asked = async <T>(ask: (client: Awaited<typeof opened>) => Promise<T>): Promise<T> => {
    try {
      return await ask(await opened)
    } catch (error) {
      if (!(error instanceof Fault && error.code === 'API_LOST')) throw error
      throw lifecycleFault('COMPANION_GONE', { socket })
    }
  }
  const opened = client
  return {
    change: (request, told) => asked((to) => to.change(request, told)),
    kill: (request, told) =>
      asked(async (to) => {
        const { report, receipt } = await to.kill(request, told)
        const text = decodeUtf8(report)
        if (text === undefined) throw apiFault('API_WIRE', { why: 'a report is not UTF-8' })
        return { report: JSON.parse(text) as WorkspacesKilled, ...(receipt === '' ? {} : { receipt }) }
      }),
    list: () => asked((to) => to.overview()),
    console: (workspace, maxBytes) => asked((to) => to.console(workspace, maxBytes)),
    openSession: (request) => asked((to) => to.openSession(request)),
    closeSession: (request) => asked((to) => to.closeSession(request)),
    sessions: (workspace) => asked((to) => to.sessions(workspace)),
    close: () => {
      void client.then((to) => {
        to.close()
      })
    },
  }
}
