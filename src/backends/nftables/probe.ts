// What this machine can do, by trying: nft's own check mode goes to the kernel, so a module that is missing shows; the deny
// floor is loaded (attached to nothing); the log group is bound for a moment. Three answers: a refusal for lack of rights is
// `could-not-tell`, because with them it might work.

import type { Answer, Probe, Probed } from '../backend.js'
import type { Feature } from './capabilities.js'
import { NftContext } from './libnftables.js'
import { native, nativeFile } from './native.js'
import { hookScript, scaffoldScript } from './script.js'
import { reasonOf } from './session.js'

const EPERM = 1
const EBUSY = 16

const probeOf = (feature: Feature, answer: Answer, why: string): Probe => ({ feature, answer, why })

export async function probe(): Promise<Probed> {
  return {
    backend: 'nftables',
    trustDomain: 'host',
    probes: [
      ...(await probeRuleset()),
      probeNative('nflog', 'refused packets are not reported', probeLog),
      probeNative('deny-floor', 'a foreign flush of the ruleset would open the fence', probeFloor),
    ],
  }
}

async function probeRuleset(): Promise<Probe[]> {
  let context: NftContext
  try {
    context = new NftContext()
  } catch (error) {
    return [probeOf('libnftables', 'no', reasonOf(error))]
  }
  const check = async (feature: Feature, lost: string, script: string): Promise<Probe> => {
    try {
      await context.check(script)
      return probeOf(feature, 'yes', 'nft check mode accepted it')
    } catch (error) {
      const why = reasonOf(error)
      return /not permitted|denied/i.test(why)
        ? probeOf(feature, 'could-not-tell', `${why}: needs CAP_NET_ADMIN`)
        : probeOf(feature, 'no', `${why}: ${lost}`)
    }
  }
  const probes = [
    probeOf('libnftables', 'yes', 'libnftables.so.1 is loaded'),
    await check('ruleset', 'the fence cannot be loaded', scaffoldScript([]) + hookScript()),
    await check(
      'conntrack',
      'replies and cut flows cannot be told apart',
      'add table inet sluice_probe\nadd chain inet sluice_probe c\nadd rule inet sluice_probe c ct state new ct mark set 1\n',
    ),
  ]
  await context.close()
  return probes
}

function probeNative(feature: Feature, lost: string, tryIt: () => { status: number; why: string }): Probe {
  try {
    const { status, why } = tryIt()
    if (status >= 0) return probeOf(feature, 'yes', why)
    if (status === -EPERM) return probeOf(feature, 'could-not-tell', 'not permitted: needs CAP_NET_ADMIN and CAP_BPF')
    return probeOf(feature, 'no', `errno ${-status}: ${lost}`)
  } catch (error) {
    return probeOf(feature, 'no', `${reasonOf(error)}: ${lost}`)
  }
}

/** Other groups than the live one, so that a running reader is not in the way, and other ones for each process: who looks at the same
 * moment, as `sluice doctor` does while an agent starts, is refused the same group as one without rights is (EPERM, nfnetlink_log.c). */
const probeGroups = (pid: number): readonly number[] => [0, 1, 2].map((n) => 0x8000 + ((3 * pid + n) % 0x7fff))

function probeLog(): { status: number; why: string } {
  for (const group of probeGroups(process.pid)) {
    const out: [unknown] = [null]
    const status = native().nflogOpen(group, 8, out)
    if (status === -EBUSY) return { status: 0, why: 'NFLOG groups can be bound' }
    if (status >= 0) native().nflogClose(out[0])
    if (status !== -EPERM) return { status, why: 'an NFLOG group was bound and let go' }
  }
  return { status: -EPERM, why: '' }
}

function probeFloor(): { status: number; why: string } {
  const out: [unknown] = [null]
  const reused: [number] = [0]
  const status = native().floorOpen(nativeFile('floor.bpf.o'), out, reused)
  if (status >= 0) native().floorClose(out[0])
  return { status, why: reused[0] === 1 ? 'the tc program is attached' : 'the tc program was loaded and let go' }
}
