// iptables with ipset, what many would otherwise write by hand, where the kernel has ip_set: in a guest with Debian's cloud kernel the
// bench's variant is made, means what the others mean, and is taken away whole. A guest is emulated: nothing is said about its speed.

import { describe, expect, it } from 'vitest'
import { runInGuest } from '../support/guest/guest.js'
import { repositoryPath } from '../support/lab/repository.js'

const MINUTES = 60_000
const XTABLES = '/usr/lib/x86_64-linux-gnu/xtables'

describe('the variant ipset of the bench', () => {
  it('means the policy where the kernel has ip_set, and leaves nothing', { timeout: 9 * MINUTES }, async () => {
    const modules = (name: string) => ({
      from: repositoryPath(`node_modules/${name}`),
      to: `/opt/sluice/node_modules/${name}`,
    })
    const names = ['iptables', 'ip6tables', 'iptables-restore', 'ip6tables-restore', 'ipset', 'ip', 'conntrack']
    const extensions = ['libxt_set', 'libxt_standard', 'libxt_conntrack', 'libipt_REJECT', 'libip6t_REJECT']
    const result = await runInGuest({
      command: `${process.execPath} /opt/sluice/player.mjs`,
      modules: [
        ...['veth', 'nf_tables', 'nft_compat', 'nf_conntrack', 'xt_conntrack', 'xt_set', 'ip_set_hash_ipport'],
        ...['ipt_REJECT', 'ip6t_REJECT'],
      ],
      programs: [
        process.execPath,
        ...['unshare', 'nsenter', 'setpriv', 'taskset'].map((name) => `/usr/bin/${name}`),
        ...names.map((name) => `/usr/sbin/${name}`),
        ...extensions.map((name) => `${XTABLES}/${name}.so`),
      ],
      files: [
        { from: repositoryPath('dist'), to: '/opt/sluice/dist' },
        { from: repositoryPath('package.json'), to: '/opt/sluice/package.json' },
        { from: repositoryPath('build/native/sluice-load'), to: '/opt/sluice/build/native/sluice-load' },
        ...['koffi', '@koromix', '@noble/hashes'].map(modules),
        { from: repositoryPath('test/support/bench/ipset.mjs'), to: '/opt/sluice/player.mjs' },
      ],
      memoryMiB: 1536,
      timeoutMs: 8 * MINUTES,
    })
    const line = result.output.split('\n').find((one) => one.startsWith('{'))
    if (line === undefined) throw new Error(`exit ${result.code}\n${result.output}\n${result.console.slice(-1_500)}`)
    expect(JSON.parse(line)).toEqual({
      absent: null,
      withoutAny: null,
      placed: { loaded: true, sets: ['bench4', 'bench6'], rules: expect.arrayContaining(['-A FORWARD -j BENCH']) },
      inForce: null,
      lifted: { sets: [], rules: [] },
      withoutIt: 'tcp 45.0.0.2 port 7000, which nothing grants, was answered',
    })
    expect(result.code).toBe(0)
  })
})
