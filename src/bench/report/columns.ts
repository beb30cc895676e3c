// Which measurements make one plot: those that differ in one thing only. Over grants where several numbers of grants were
// measured, then over workspaces and over flows; what is left over stands side by side. Grants stand on a logarithmic axis, with
// none a decade before the fewest.

import type { Measurement } from '../results.js'
import { alike } from './alike.js'
import type { Column } from './figures.js'
import { tick, whole } from './number.js'

export interface Group {
  readonly key: string
  readonly title: string
  readonly x: string
  readonly joined: boolean
  readonly columns: readonly Column[]
}

type Axis = 'grants' | 'workspaces' | 'flows'
const AXES = ['grants', 'workspaces', 'flows'] as const satisfies readonly Axis[]

const count = (value: number, name: string): string => `${whole(value)} ${name}${value === 1 ? '' : 's'}`
const FAMILIES = { ipv4: 'IPv4', ipv6: 'IPv6' } as const

const ONE = { grants: 'grant', workspaces: 'workspace', flows: 'flow' } as const satisfies Record<Axis, string>

/** What does not vary along the axis, for the title. One workspace goes without saying. */
function rest(measurement: Measurement, axis: Axis | null): string {
  const parts = AXES.filter((name) => name !== axis && !(name === 'workspaces' && measurement.workspaces === 1))
  const said = [FAMILIES[measurement.family], ...parts.reverse().map((name) => count(measurement[name], ONE[name]))]
  return said.join(', ')
}

/** `TCP stream`: what its flows and its family do not belong to. */
const kindOf = (measurement: Measurement | undefined): string =>
  (measurement?.say ?? '').replace(/[,;] (\d[\d,]* ([a-z]+ )*(flows?|at a time)|IPv[46])/g, '')

/** As the run calls it, and what else does not vary. */
function titled(measurement: Measurement, axis: Axis | null): string {
  const { say, grants, workspaces } = measurement
  const parts = [
    axis === 'grants' ? '' : count(grants, ONE.grants),
    axis === 'workspaces' || workspaces === 1 ? '' : count(workspaces, ONE.workspaces),
  ]
  return [say, ...parts.filter((part) => part !== '')].join(', ')
}

function position(value: number, all: readonly number[]): number {
  const least = Math.min(...all.filter((other) => other > 0))
  return value === 0 ? Math.log10(Number.isFinite(least) ? least : 10) - 1 : Math.log10(value)
}

/** A stream of ten seconds stands in no plot with those of one: they would share a place. */
const sustained = ({ id }: Measurement): string => / ms=\d{5,}\b/.exec(id)?.[0] ?? ''

export function groupsOf(measurements: readonly Measurement[]): readonly Group[] {
  const left = new Set(measurements)
  const groups: Group[] = []
  for (const axis of AXES) {
    const rows = alike(measurements, (one) =>
      [
        one.question,
        one.unit,
        one.family,
        sustained(one),
        ...AXES.map((name) => (name === axis ? '' : one[name])),
      ].join(' '),
    )
    for (const members of rows) {
      const sorted = [...members].sort((a, b) => a[axis] - b[axis])
      const [first] = sorted
      // A row of which every measurement stands in a plot already says nothing new.
      if (first === undefined || sorted.length < 2 || !sorted.some((one) => left.has(one))) continue
      for (const one of sorted) left.delete(one)
      const values = sorted.map((one) => one[axis])
      groups.push({
        key: `${first.question}-${axis}-${first.family}-${first.flows}-${first.workspaces}-${first.grants}`,
        title: axis === 'flows' ? `${kindOf(first)}: ${rest(first, axis)}` : titled(first, axis),
        x: axis,
        joined: true,
        columns: sorted.map((measurement) => ({
          at: position(measurement[axis], values),
          name: count(measurement[axis], ONE[axis]),
          tick: tick(measurement[axis]),
          measurement,
        })),
      })
    }
  }
  for (const members of alike(left, ({ question, unit }) => `${question} ${unit}`))
    groups.push({
      key: `${members[0]?.question ?? ''}-side-by-side`,
      title:
        members.length === 1 && members[0] !== undefined
          ? titled(members[0], null)
          : `${kindOf(members[0])}, side by side`,
      x: '',
      joined: false,
      columns: members.map((measurement, at) => ({
        at,
        name: measurement.say,
        tick: rest(measurement, null).replaceAll(', ', '\n'),
        measurement,
      })),
    })
  return groups
}
