// The figures of README.md from the results of a run: `node scripts/figures.mjs build/bench/results.json` after `make bench`. Refuses
// a run that nobody can repeat or whose machine was busy; --provisional writes it all the same, and the page then says why not to
// stand by it. Needs a build.

import { readFileSync, writeFileSync } from 'node:fs'
import { BEGIN, END, quoted, reservations } from '../dist/bench/quoted.js'
import { readResults } from '../dist/bench/read.js'

const PAGE = new URL('../README.md', import.meta.url)
const words = process.argv.slice(2)
const file = words.find((word) => !word.startsWith('--'))
if (file === undefined) {
  console.error('figures: which results.json?')
  process.exit(64)
}
const results = readResults(readFileSync(file, 'utf8'), file)
const why = reservations(results)
if (why.length > 0 && !words.includes('--provisional')) {
  console.error(`figures: ${why.join('; ')} (--provisional writes them all the same, and says so)`)
  process.exit(2)
}
const page = readFileSync(PAGE, 'utf8')
const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
if (from < 0 || to < from) {
  console.error(`figures: README.md has no place between ${BEGIN} and ${END}`)
  process.exit(70)
}
writeFileSync(PAGE, `${page.slice(0, from)}${quoted(results)}${page.slice(to + END.length)}`)
console.log(`README.md: ${results.promises.length} figures of ${results.run.commit}`)
