// What this machine can do for tc-flower: whether its kernel has the classifier, and whether there is a switch whose hardware
// takes filters. The classifier is asked for by hanging a filter on an interface that is made for the question and goes with it.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import type { FlowerOptions, Probe, Probed } from '../backend.js'
import type { Kernel } from './kernel.js'
import { lastRule, stationsOf } from './place.js'

const yes = (feature: string, why: string): Probe => ({ feature, answer: 'yes', why })
const no = (feature: string, why: string): Probe => ({ feature, answer: 'no', why })

export function probeFlower(kernel: Kernel, options: FlowerOptions | undefined): Probed {
  // Nothing is made on a node that has no use for it.
  const asked = options?.software || options?.uplink !== undefined
  const unasked: Probe = { feature: 'classifier', answer: 'could-not-tell', why: 'asked where tc_flower is configured' }
  const probes = [yes('library', 'rtnetlink answers'), asked ? classifier(kernel) : unasked, ...offload(options)]
  return { backend: 'tc-flower', trustDomain: isDpu() && !options?.software ? 'dpu-host-trusted' : 'host', probes }
}

function classifier(kernel: Kernel): Probe {
  const name = `slcf${process.pid % 100_000}`
  try {
    execFileSync('ip', ['link', 'add', name, 'type', 'dummy'], { stdio: 'pipe' })
  } catch (error) {
    const why = error instanceof Error ? error.message.trim().split('\n').at(-1) : undefined
    return {
      feature: 'classifier',
      answer: 'could-not-tell',
      why: `no interface could be made to ask with: ${why ?? ''}`,
    }
  }
  try {
    const ports = { slot: kernel.native.ifindex(name), number: 0 }
    kernel.makeHooks(ports.slot)
    for (const station of stationsOf(ports, '')) kernel.put([lastRule(station, ports)])
    return yes('classifier', 'clsact, cls_flower and act_gact took a filter')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return no('classifier', `this kernel takes no filter (modules cls_flower, act_gact, sch_ingress): ${why}`)
  } finally {
    execFileSync('ip', ['link', 'delete', name], { stdio: 'pipe' })
  }
}

function offload(options: FlowerOptions | undefined): Probe[] {
  if (options?.software)
    return [
      yes('offload', 'not needed: tc_flower.software asks for filters without hardware'),
      no('hardware', 'software: the kernel judges, and nothing is offloaded'),
    ]
  if (options?.uplink === undefined) return [no('offload', unconfigured())]
  const id = switchOf(options.uplink)
  if (id === undefined)
    return [no('offload', `${options.uplink} is no port of a switch in switchdev mode: it has no phys_switch_id`)]
  return [
    yes('offload', `${options.uplink} is a port of the switch ${id}; whether it takes a filter is known when it has`),
    yes('hardware', 'filters that let through are skip_sw: hardware takes them, or the stage fails'),
  ]
}

const switchOf = (name: string): string | undefined => read(`/sys/class/net/${name}/phys_switch_id`)

function unconfigured(): string {
  const ports = readdirSync('/sys/class/net').filter((name) => switchOf(name) !== undefined)
  return ports.length === 0
    ? 'no interface here is a port of a switch in switchdev mode; tc_flower.software asks for filters without hardware'
    : `ports of a switch are here (${ports.sort().join(', ')}); name the uplink under tc_flower.uplink`
}

/** A BlueField's own processor says so in its firmware tables. */
const isDpu = (): boolean => /bluefield/i.test(read('/sys/class/dmi/id/product_name') ?? '')

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined
  } catch {
    return undefined // it is not there, or this kind of interface has none
  }
}
