// Verifies and compiles one bundle in a process of its own and prints the most memory that it ever had, in KiB.

import { prepare } from './bundle.mjs'

const { verify, compile } = await prepare(Number(process.argv[2]))
compile(await verify())
console.log(process.resourceUsage().maxRSS)
