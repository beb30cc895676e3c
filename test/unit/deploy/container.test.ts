// The container file and the pods of a DPU against the rest of the repository: paths, packages and command lines that exist, the
// rights of the systemd unit, a configuration that the agent takes. Nobody here has a kubelet to ask.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { parseConfig } from '../../../src/agent/config.js'
import { REGISTERED_BACKENDS } from '../../../src/backends/registry.js'
import type { Configured } from '../../../src/cli/host.js'
import { repositoryPath } from '../../support/lab/repository.js'
import { Operator } from '../../support/operator.js'

const read = (path: string): string => readFileSync(repositoryPath(path), 'utf8')
const CONTAINERFILE = read('deploy/container/Containerfile')
const UNIT = read('deploy/systemd/sluice-agent.service')
const CONFIG = read('deploy/dpu/agent.yaml')

/** Instructions, with continued lines joined and comments gone. */
const instructions = CONTAINERFILE.replace(/^#.*\n/gm, '')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => {
    const [name = '', ...rest] = line.split(/\s+/)
    return { name, words: rest, say: rest.join(' ') }
  })

/** What a command line of the agent asks for; nothing runs. */
async function agentOf(words: readonly string[]): Promise<{ exit: number; asked: Configured[] }> {
  const operator = new Operator()
  const asked: Configured[] = []
  try {
    const { exit } = await operator.sluice(words.join(' '), (host) => ({
      ...host,
      readFile: (path) => {
        expect(path).toBe('/etc/sluice/agent.yaml')
        return Buffer.from(CONFIG)
      },
      runAgent: (config) => {
        asked.push(config)
        return Promise.resolve()
      },
    }))
    return { exit, asked }
  } finally {
    operator.close()
  }
}

describe('the container file', () => {
  it('has two stages, and a base that is the reader’s own', () => {
    expect(
      instructions.filter(({ name }) => name === 'FROM').map(({ say }) => say.replace(/^[$]{BASE}/, 'the base')),
    ).toEqual(['the base AS build', 'the base'])
    expect(instructions[0]?.say).toMatch(/^BASE=registry\.example\//)
    const known = ['ARG', 'FROM', 'WORKDIR', 'COPY', 'RUN', 'VOLUME', 'ENTRYPOINT', 'CMD']
    expect(instructions.filter(({ name }) => !known.includes(name))).toEqual([])
  })

  it('copies what is there, or what the build makes', () => {
    const copied = instructions.filter(({ name }) => name === 'COPY').flatMap(({ words }) => words.slice(0, -1))
    const made = ['node_modules', 'build', 'dist']
    for (const path of copied.filter((word) => !word.startsWith('--'))) {
      const own = path.replace('/opt/sluice/', '')
      expect([path, made.includes(own) || existsSync(repositoryPath(own))]).toEqual([path, true])
    }
    const targets = [...CONTAINERFILE.matchAll(/\bmake ((?:[a-z]+ ?)+)/g)].flatMap(([, words = '']) =>
      words.trim().split(' '),
    )
    expect(targets).toEqual(['build', 'native', 'shims'])
    for (const target of targets) expect(read('Makefile')).toMatch(new RegExp(`^${target}:`, 'm'))
  })

  it('has every library that the C parts are linked with', () => {
    const linked = [
      'src/native/Makefile',
      'src/native/ebpf/Makefile',
      'src/native/rtnl/Makefile',
      'src/native/vault/Makefile',
    ]
      .map(read)
      .join('\n')
    const packages: Readonly<Record<string, string>> = {
      bpf: 'libbpf1',
      elf: 'libelf1',
      mnl: 'libmnl0',
      netfilter_log: 'libnetfilter-log1',
      nfnetlink: 'libnfnetlink0',
    }
    const wanted = [...linked.matchAll(/ -l(\w+)/g)].map(([, name = '']) => name)
    expect(wanted.length).toBeGreaterThan(3)
    for (const name of new Set(wanted)) if (name in packages) expect(CONTAINERFILE).toContain(packages[name])
  })

  it('starts the agent as its unit does', async () => {
    const list = (name: string): string[] => JSON.parse(instructions.find((one) => one.name === name)?.say ?? '[]')
    expect(list('ENTRYPOINT')).toEqual(['/usr/bin/sluice'])
    expect(`ExecStart=${[...list('ENTRYPOINT'), ...list('CMD')].join(' ')}`).toBe(/^ExecStart=.*$/m.exec(UNIT)?.[0])
    expect(await agentOf(list('CMD'))).toMatchObject({ exit: 0, asked: [{ stateDirectory: '/var/lib/sluice' }] })
  })
})

describe.each(['deploy/dpu/sluice-agent.yaml', 'deploy/dpu/sluice-agent-doca.yaml'])('%s', (file) => {
  const pod = parse(read(file), { strict: true, uniqueKeys: true })
  const [agent] = pod.spec.containers
  const doca = file.includes('doca')

  it('is a pod of one container that a kubelet alone can start', () => {
    expect(pod).toMatchObject({ apiVersion: 'v1', kind: 'Pod', spec: { hostNetwork: true, restartPolicy: 'Always' } })
    expect(pod.spec.containers).toHaveLength(1)
    // What only an API server has.
    expect(Object.keys(pod.spec)).not.toContain('serviceAccountName')
    for (const volume of pod.spec.volumes)
      expect(Object.keys(volume).sort()).toEqual([volume.hostPath ? 'hostPath' : 'emptyDir', 'name'].sort())
    const mounted = agent.volumeMounts.map(({ name }: { name: string }) => name)
    expect(mounted).toEqual(expect.arrayContaining(pod.spec.volumes.map(({ name }: { name: string }) => name)))
    expect(mounted).toHaveLength(pod.spec.volumes.length)
    expect(pod.spec.terminationGracePeriodSeconds).toBe(Number(/^TimeoutStopSec=(\d+)$/m.exec(UNIT)?.[1]))
  })

  it('runs a command line that the program takes, from a configuration that it takes', async () => {
    const { exit, asked } = await agentOf(agent.args)
    expect(exit).toBe(0)
    expect(asked).toHaveLength(1)
    const config = asked[0] as Configured
    for (const path of [config.stateDirectory, config.trustRoot, config.eventsFile, config.socket ?? ''])
      expect([
        path,
        agent.volumeMounts.some(({ mountPath }: { mountPath: string }) => path.startsWith(mountPath)),
      ]).toEqual([path, true])
    for (const probe of [agent.livenessProbe, agent.startupProbe, agent.readinessProbe]) {
      expect(`${probe.httpGet.host}:${probe.httpGet.port}`).toBe(config.http)
      expect(read('src/agent/http.ts')).toContain(`'${probe.httpGet.path}'`)
    }
  })

  it('has the rights of the systemd unit, or says why it has all', () => {
    const { privileged, capabilities, readOnlyRootFilesystem } = agent.securityContext
    expect(readOnlyRootFilesystem).toBe(true)
    expect(privileged).toBe(doca)
    if (doca) {
      expect(read(file)).toMatch(/The devices of the card .* device plugin/s)
      return
    }
    const bounding = (/^CapabilityBoundingSet=(.+)$/m.exec(UNIT)?.[1] ?? '')
      .split(' ')
      .map((name) => name.replace('CAP_', ''))
    expect(capabilities).toEqual({ drop: ['ALL'], add: bounding })
    expect(agent.securityContext.allowPrivilegeEscalation).toBe(false)
    // What the unit leaves writable.
    for (const path of /^ReadWritePaths=(.+)$/m.exec(UNIT)?.[1]?.split(' ') ?? [])
      expect(agent.volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath)).toContain(
        path.replace(/^-/, ''),
      )
  })
})

it('the configuration of a DPU is one that every key of it is known in', () => {
  const { config, notes } = parseConfig(
    Buffer.from(CONFIG),
    'agent.yaml',
    join('/', 'etc', 'sluice'),
    REGISTERED_BACKENDS,
  )
  expect(notes).toEqual([])
  expect(config).toMatchObject({ backends: ['tc-flower'], flower: { uplink: 'p0' }, attachRequired: true })
})
