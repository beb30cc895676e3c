// Whether a variant means what its setting says, looked at with packets before anything of it is measured: what is granted must be
// answered, and what differs from it in address or port must not. Where nothing judges, all of it must be answered; otherwise the
// look itself would prove nothing.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { GENERATOR, type Ground } from './ground.js'
import type { Role } from './results.js'
import { PORTS, SERVER } from './setting.js'

/** What is granted is waited for; a refusal comes at once, or never. */
const OPEN_MS = 5_000
const CLOSED_MS = 300

interface Look {
  readonly protocol: 'tcp' | 'udp'
  readonly address: string
  readonly port: number
  readonly granted: boolean
}

const LOOKS: readonly Look[] = Object.values(SERVER).flatMap(({ address, other }) => [
  { protocol: 'tcp' as const, address, port: PORTS.echo, granted: true },
  { protocol: 'tcp' as const, address: other, port: PORTS.echo, granted: false },
  { protocol: 'tcp' as const, address, port: PORTS.denied, granted: false },
  { protocol: 'udp' as const, address, port: PORTS.echo, granted: true },
  { protocol: 'udp' as const, address, port: PORTS.denied, granted: false },
])

const execute = promisify(execFile)

/** What is wrong with it, or undefined. */
export async function misread(ground: Ground, role: Role): Promise<string | undefined> {
  const judges = role === 'fence' || role === 'peer'
  for (const { protocol, address, port, granted } of LOOKS) {
    const open = granted || !judges
    const words = ['probe', protocol, address, port, open ? OPEN_MS : CLOSED_MS].map(String)
    const [file = '', ...rest] = [...ground.client, GENERATOR, ...words]
    const { stdout } = await execute(file, rest)
    const said = stdout.trim()
    if ((said === 'open') === open) continue
    const what = `${protocol} ${address} port ${port}, which ${granted ? 'is' : 'nothing'} ${granted ? 'granted' : 'grants'}`
    return `${what}, was ${said === 'open' ? 'answered' : said}`
  }
  return undefined
}
