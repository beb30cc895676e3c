// Makes, looks at, lists, renames and removes files of a directory, and says how many operations a second: argument 1 is an
// empty directory, argument 2 how many files.

import { closeSync, openSync, readdirSync, renameSync, statSync, unlinkSync } from 'node:fs'

const [directory, count] = [process.argv[2], Number(process.argv[3])]
const path = (kind, i) => `${directory}/${kind}${i}`
const start = process.hrtime.bigint()
for (let i = 0; i < count; i++) closeSync(openSync(path('a', i), 'wx'))
for (let i = 0; i < count; i++) statSync(path('a', i))
readdirSync(directory)
for (let i = 0; i < count; i++) renameSync(path('a', i), path('b', i))
for (let i = 0; i < count; i++) statSync(path('b', i))
for (let i = 0; i < count; i++) unlinkSync(path('b', i))
console.log(String((count * 5) / (Number(process.hrtime.bigint() - start) / 1e9)))
