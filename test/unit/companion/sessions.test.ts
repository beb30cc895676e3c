// What the access broker is told, over real HTTPS and by real commands: the words, the tries, and hooks that fail, hang or are not there.

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { brokerSessions, type Hook, NO_BROKER } from '../../../src/companion/sessions.js'
import { Mtls } from '../../support/mtls.js'

const ABOUT = { workspace: 'spiffe://fleet.example/ws/one', user: 'jane', reason: 'left', requestId: 'request-1' }
const clock = { nowMs: Date.now, monotonicMs: () => performance.now(), sleep: (ms: number) => sleep(ms) }
const close = (...hooks: readonly Hook[]) => brokerSessions(hooks, clock).close(ABOUT)

it('says that nobody was told where there is no hook', async () => {
  expect(await close()).toBe(NO_BROKER)
})

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-hooks-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function command(script: string, more: { readonly tries?: number; readonly timeoutMs?: number } = {}): Hook {
  const path = join(directory, 'hook')
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return { kind: 'command', name: 'local', command: [path], timeoutMs: 30_000, tries: 1, ...more }
}

describe('a command', () => {
  it('gets the words on its standard input, and none of them on its command line', async () => {
    expect(await close(command(`cat > ${directory}/words; echo "$@" > ${directory}/line`))).toBeUndefined()
    expect(JSON.parse(readFileSync(join(directory, 'words'), 'utf8'))).toEqual({ action: 'close-sessions', ...ABOUT })
    expect(readFileSync(join(directory, 'line'), 'utf8')).toBe('\n')
  })

  it('that fails is tried as often as it is said, and then is a fault that names it', async () => {
    const hook = command(`echo x >> ${directory}/tries; exit 3`, { tries: 2 })
    await expect(close(hook)).rejects.toMatchObject({
      code: 'WORKSPACE_SESSIONS',
      message: 'the hook local did not close the sessions: it ended with 3',
    })
    expect(readFileSync(join(directory, 'tries'), 'utf8')).toBe('x\nx\n')
  })

  it('that hangs is ended with what it started', async () => {
    const hook = command(`(sleep 1000 & echo $! > ${directory}/child; wait)`, { timeoutMs: 1_000 })
    await expect(close(hook)).rejects.toThrow('it took longer than 1000 ms')
    // Under load it may have been ended before it began its child.
    const child = existsSync(join(directory, 'child')) ? readFileSync(join(directory, 'child'), 'utf8').trim() : ''
    const isGone = () =>
      child === '' || !existsSync(`/proc/${child}`) || / Z /.test(readFileSync(`/proc/${child}/stat`, 'utf8'))
    for (let i = 0; i < 3_000 && !isGone(); i++) await sleep(10)
    expect(isGone()).toBe(true)
  })

  it('that is not there is a fault', async () => {
    await expect(close({ ...command(''), command: ['/nonexistent/hook'] } as Hook)).rejects.toThrow('ENOENT')
  })
})

describe('a webhook', () => {
  let server: Server
  let mtls: Mtls
  let seen: { readonly body: string; readonly token: string | undefined }[]
  let statuses: number[]
  beforeEach(async () => {
    mtls = new Mtls()
    seen = []
    statuses = []
    const tls = { cert: readFileSync(mtls.path('server.pem')), key: readFileSync(mtls.path('server.key')) }
    server = createServer(tls, (request, answer) => {
      let body = ''
      request.on('data', (part: Buffer) => {
        body += part.toString()
      })
      request.on('end', () => {
        seen.push({ body, token: request.headers.authorization })
        answer.writeHead(statuses.shift() ?? 204).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    writeFileSync(join(directory, 'token'), 'secret\n')
  })
  afterEach(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    mtls.remove()
  })
  const hook = (tries: number): Hook => ({
    ...{ kind: 'webhook', name: 'portal', timeoutMs: 30_000, tries },
    url: `https://localhost:${(server.address() as AddressInfo).port}/close`,
    caFile: mtls.path('ca.pem'),
    tokenFile: join(directory, 'token'),
  })

  it('is told once when it takes it', async () => {
    await close(hook(2))
    expect(seen).toEqual([{ body: JSON.stringify({ action: 'close-sessions', ...ABOUT }), token: 'Bearer secret' }])
  })

  it('that cannot now is asked again; one that never can does not keep the others from being told', async () => {
    statuses = [503]
    await close(hook(2))
    expect(seen).toHaveLength(2)
    await expect(close(command('exit 1'), hook(1))).rejects.toThrow('the hook local did not close the sessions')
    expect(seen).toHaveLength(3)
    statuses = [503]
    await expect(close(hook(1))).rejects.toThrow('the hook portal did not close the sessions: it answered 503')
  })
})
