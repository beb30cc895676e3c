// Debian's docker-registry on a port of this machine, with TLS and a folder of its own, ended by its process id.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Tls } from './tls.js'

const PROGRAM = '/usr/bin/docker-registry'
export const hasRegistry = (): boolean => existsSync(PROGRAM)

export interface RegistryProcess {
  readonly origin: URL
  /** Where it keeps its content. */
  readonly storage: string
  stop(): Promise<void>
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function startRegistry(tls: Tls): Promise<RegistryProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-registry-'))
  const port = await freePort()
  const storage = join(directory, 'storage')
  const config = join(directory, 'config.yml')
  const lines = [
    'version: 0.1',
    'log: { level: error, accesslog: { disabled: true } }',
    `storage: { filesystem: { rootdirectory: ${storage} }, delete: { enabled: true } }`,
    `http: { addr: '127.0.0.1:${port}', tls: { certificate: ${tls.certFile}, key: ${tls.keyFile} } }`,
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const child = spawn(PROGRAM, ['serve', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH },
  })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  const origin = new URL(`https://localhost:${port}`)
  for (let tries = 0; !(await answers(origin, tls.ca)); tries++) {
    if (tries > 100 || child.exitCode !== null) throw new Error(`docker-registry does not answer: ${said}`)
    await sleep(50)
  }
  return {
    origin,
    storage,
    stop: async () => {
      await ended(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

const answers = (origin: URL, ca: string): Promise<boolean> =>
  new Promise((resolve) => {
    const asked = request(new URL('/v2/', origin), { ca }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200)
    })
    asked.on('error', () => resolve(false))
    asked.end()
  })

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  await new Promise((resolve) => {
    child.once('exit', resolve)
    child.kill('SIGTERM')
  })
}
