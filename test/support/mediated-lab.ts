// The laboratory with names: a real resolver in the outside world, a bundle with host names applied by the product's own command
// line, and `sluice mediate` running on the node. The workspace's only resolver is the fence's address.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Product } from '../../scripts/demo/product.js'
import { FENCE, WORKSPACE, Workshop } from '../../scripts/demo/workshop.js'
import { type Resolver, type ResolverOptions, startResolver } from './dns/resolver.js'
import { UPLINK, WS } from './lab/addresses.js'
import { command, must } from './lab/command.js'
import { type Lab, openLab } from './lab/lab.js'
import { repositoryPath } from './lab/repository.js'

/** Ports that an endpoint lists become one rule of TCP. */
export interface Rule {
  readonly host: string
  readonly ports: readonly number[]
}

export interface MediatedLab {
  readonly lab: Lab
  readonly resolver: Resolver
  readonly product: Product
  readonly workshop: Workshop
  /** Applies a bundle with these rules; gives its generation. */
  apply(rules: readonly Rule[], more?: { readonly delegate?: readonly string[] }): Promise<number>
  /** Starts `sluice mediate`; resolves when it listens under the live generation. */
  mediate(): Promise<Mediate>
  /** `dig` in the workspace, at the fence's resolver unless said otherwise. */
  dig(...words: readonly string[]): Promise<Dug>
  close(): Promise<void>
}

export interface Mediate {
  readonly pid: number
  /** Lines that it said. */
  readonly said: readonly string[]
  listening(generation: number): Promise<void>
  /** Ends it with this signal; gives what it printed at the end. */
  stop(signal?: NodeJS.Signals): Promise<{ readonly [key: string]: unknown }>
}

export interface Dug {
  readonly status: string
  readonly flags: string
  /** `name ttl type data` */
  readonly answers: readonly string[]
}

const RESOLVER_PORT = 53

/** `more` is handed to the resolver. */
export async function openMediatedLab(
  backend: string,
  wildcardNames = 8,
  more: Pick<ResolverOptions, 'stubs' | 'server'> = {},
): Promise<MediatedLab> {
  const lab = await openLab()
  const directory = mkdtempSync(join(tmpdir(), 'sluice-mediated-'))
  const running: Mediate[] = []
  let resolver: Resolver | undefined
  const close = async (): Promise<void> => {
    for (const one of running.splice(0)) await one.stop('SIGKILL')
    await resolver?.close()
    const product = new Product(lab.namespace('node'), directory)
    await product.try('uninstall', '--yes', '--config', 'agent.yaml')
    await lab.close()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    // Addresses that change at every answer are served too.
    await must(['ip', '-n', lab.namespace('out'), 'route', 'add', 'local', '45.78.0.0/16', 'dev', 'lo'])
    resolver = await startResolver({
      namespace: lab.namespace('out'),
      address: UPLINK.out.v4,
      ...more,
      ...{ port: RESOLVER_PORT, dotPort: 8853, authorityPort: 5300 },
    })
    const product = new Product(lab.namespace('node'), directory)
    const workshop = new Workshop(directory, product)
    await workshop.open(backend)
    workshop.edit(
      'agent.yaml',
      (text) => `${text}\ndns:\n  upstreams: [udp://${UPLINK.out.v4}]\n  wildcard_names: ${wildcardNames}\n`,
    )
    writeFileSync(
      `/etc/netns/${lab.namespace('ws')}/resolv.conf`,
      `nameserver ${WS.gateway4}\noptions timeout:5 attempts:1\n`,
    )
    let revision = 10
    const apply: MediatedLab['apply'] = async (rules, more = {}) => {
      const name = `revision-${++revision}`
      writeFileSync(join(directory, 'policy.yaml'), policyOf(rules))
      const words = ['--from', 'policy.yaml', '--out', name, '--workspace', WORKSPACE, '--name', 'names']
      await product.run('bundle', 'init', ...words)
      for (const dimension of more.delegate ?? [])
        workshop.edit(`${name}/${FENCE}`, (text) => text.replace(/^delegate:\n/m, `delegate:\n  - ${dimension}\n`))
      await workshop.sign(name, revision)
      const words2 = ['apply', name, '--inventory', 'inventory.yaml', '--config', 'agent.yaml']
      const { json } = await product.run(...words2)
      return Number(json.generation)
    }
    const mediate: MediatedLab['mediate'] = async () => {
      const one = startMediate(lab.namespace('node'), directory)
      running.push(one)
      await one.listening(0)
      return one
    }
    return { lab, resolver, product, workshop, apply, mediate, dig: (...words) => dig(lab, words), close }
  } catch (error) {
    await close()
    throw error
  }
}

const policyOf = (rules: readonly Rule[]): string =>
  [
    'version: 1',
    'network_policies:',
    ...rules.flatMap(({ host, ports }, i) => [
      `  rule${i}:`,
      '    endpoints:',
      `      - { host: "${host}", ports: [${ports.join(', ')}] }`,
      '    binaries:',
      '      - path: /usr/bin/curl',
    ]),
    '',
  ].join('\n')

function startMediate(namespace: string, directory: string): Mediate {
  const program = repositoryPath('dist/bin/sluice.js')
  const argv = ['netns', 'exec', namespace, process.execPath, program, 'mediate', '--config', 'agent.yaml', '--json']
  const child: ChildProcess = spawn('ip', argv, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  const waiting = new Set<() => void>()
  let out = ''
  let over = false
  const wake = (): void => {
    for (const one of waiting) one()
  }
  child.stdout?.on('data', (data) => {
    out += String(data)
  })
  if (child.stderr)
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line)
      wake()
    })
  const closed = new Promise<void>((done) => {
    child.once('close', () => {
      over = true
      wake()
      done()
    })
  })
  return {
    get pid() {
      return child.pid ?? 0
    },
    said,
    listening: async (generation) => {
      for (;;) {
        const last = said.findLast((line) => line.startsWith('listening on '))
        const at = Number(/generation (\d+)$/.exec(last ?? '')?.[1] ?? -1)
        if (last !== undefined && !last.startsWith('listening on no address') && at >= generation) return
        if (over) throw new Error(`sluice mediate ended: ${said.join('\n')}\n${out}`)
        await new Promise<void>((done) => {
          const once = (): void => {
            waiting.delete(once)
            done()
          }
          waiting.add(once)
        })
      }
    },
    stop: async (signal = 'SIGINT') => {
      if (!over) child.kill(signal)
      await closed
      return out.trim() === '' ? {} : (JSON.parse(out) as { readonly [key: string]: unknown })
    },
  }
}

async function dig(lab: Lab, words: readonly string[]): Promise<Dug> {
  const at = words.some((word) => word.startsWith('@')) ? [] : [`@${WS.gateway4}`]
  const argv = ['ip', 'netns', 'exec', lab.namespace('ws'), 'dig', '+tries=1', '+time=8', '+nocookie', ...at, ...words]
  const { stdout } = await command(argv)
  const answers = stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(';'))
    .map((line) => line.replace(/\s+IN\s+/, ' ').replace(/\s+/g, ' '))
  return {
    status: /status: (\w+)/.exec(stdout)?.[1] ?? `none: ${stdout.replace(/\s+/g, ' ').slice(-120)}`,
    flags: /flags: ([a-z ]*);/.exec(stdout)?.[1] ?? '',
    answers,
  }
}
