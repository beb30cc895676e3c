// A program as text for people, golden files and audit: the workspaces' own sets and chains, then the elements that switch to
// them. The constant chains that these lead to and come from are scaffold.ts.

import { type NftProgram, type NftSet, namePrefix, SHARED_SETS } from './program.js'
import { sharedElements } from './script.js'

export function render(program: NftProgram): string {
  const lines = [`# generation ${program.generation}`, `# plan ${program.planDigest}`, 'table inet sluice {']
  for (const [index, workspace] of program.workspaces.entries()) {
    const prefix = namePrefix(index, program.generation)
    const until = workspace.deadlineMs === null ? 'held on expiry' : `suspended at ${timeOf(workspace.deadlineMs)}`
    lines.push(`  # ${workspace.workspace} on ${workspace.interface}, ${until}`)
    const { observe } = workspace
    if (observe)
      lines.push(
        `  # observed until ${timeOf(observe.untilMs)}, conntrack marks 0x${observe.begun.toString(16)} and 0x${observe.answered.toString(16)}`,
      )
    for (const { clause, mark } of workspace.clauses) lines.push(`  # conntrack mark 0x${mark.toString(16)}: ${clause}`)
    for (const set of workspace.sets) lines.push(...setLines(prefix, set))
    for (const chain of workspace.chains) {
      lines.push(`  chain ${prefix}${chain.name} {`)
      for (const rule of chain.rules) lines.push(`    ${rule.replaceAll('%', prefix)}`)
      lines.push('  }')
    }
  }
  for (const name of SHARED_SETS) lines.push(...elementLines(name, sharedElements(program, name, '')))
  return `${[...lines, '}', 'table netdev sluice {', ...elementLines('arp_ok', program.arp), '}'].join('\n')}\n`
}

const timeOf = (ms: number): string => new Date(ms).toISOString()

function setLines(prefix: string, set: NftSet): string[] {
  const flags = `${set.interval ? ' flags interval' : ''}${set.counter ? ' counter' : ''}`
  return [
    `  set ${prefix}${set.name} { type ${set.type};${flags}`,
    ...set.elements.map((element, i) => `    ${element}${set.grants[i] === undefined ? '' : ` # ${set.grants[i]}`}`),
    '  }',
  ]
}

const elementLines = (name: string, elements: readonly string[]): string[] =>
  elements.length === 0 ? [] : [`  ${name}`, ...elements.map((element) => `    ${element}`)]
